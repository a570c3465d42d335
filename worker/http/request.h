// worker/http/request.h: what the client asked, as views into the bytes it sent.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/http/field.h"
#include "worker/http/target.h"

namespace worker::http {

/// A stretch of the head, relative to its first byte, so that the head can move.
struct Span {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
};

struct Field {
    Span name, value;
    Known known = Known::other;
};

/// Filled by the parser. Views are good until the next `keep` or `clear`; what is absent is empty.
class Request {
 public:
    void clear() noexcept;

    [[nodiscard]] std::string_view method() const noexcept { return view(method_span); }
    /// As it stood in the request line.
    [[nodiscard]] std::string_view raw_target() const noexcept { return view(target_span); }
    /// The request line up to its version: "GET /path".
    [[nodiscard]] std::string_view begin_of_line() const noexcept {
        return {head + method_span.at, target_span.at + target_span.size - method_span.at};
    }
    [[nodiscard]] bool is_head() const noexcept { return method() == "HEAD"; }
    [[nodiscard]] bool is_get() const noexcept { return method() == "GET"; }

    [[nodiscard]] bool has(Known name) const noexcept { return first_[index(name)] >= 0; }
    /// The value of the first such field; empty when there is none.
    [[nodiscard]] std::string_view value(Known name) const noexcept {
        const std::int16_t at = first_[index(name)];
        return at < 0 ? std::string_view() : view(fields[static_cast<std::size_t>(at)].value);
    }
    /// All values of a list field in one (RFC 9110 5.3): a view of the only one, or joined in `room`.
    [[nodiscard]] std::string_view joined(Known name, std::string& room) const;
    [[nodiscard]] std::size_t count(Known name) const noexcept;

    [[nodiscard]] std::string_view view(Span span) const noexcept { return {head + span.at, span.size}; }

    /// Adds what the parser found; false when there are too many.
    bool add(const Field& field);
    /// Moves the head into memory of its own; views made before are gone.
    void keep();

    const char* head = nullptr;  ///< first byte of the head
    std::uint32_t head_size = 0;
    Span method_span, target_span;
    std::vector<Field> fields;
    std::uint8_t minor = 1;  ///< HTTP/1.`minor`
    Target target;           ///< normalised; set by routing, like the next
    std::string_view host;   ///< of the absolute form or the Host field, without port, in any case

 private:
    static constexpr std::size_t fields_max = 256;
    static constexpr std::size_t index(Known name) noexcept { return static_cast<std::size_t>(name); }
    void rebase_target(const char* from, const char* to) noexcept;

    std::array<std::int16_t, known_fields + 1> first_ = none();
    std::vector<char> kept_;

    static constexpr std::array<std::int16_t, known_fields + 1> none() {
        std::array<std::int16_t, known_fields + 1> all{};
        all.fill(-1);
        return all;
    }
};

}  // namespace worker::http
