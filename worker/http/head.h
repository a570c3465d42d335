// worker/http/head.h: the header of a message, as views into the bytes that came.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/http/field.h"

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

/// Filled by a parser. Views are good until the head is kept or cleared; what is absent is empty.
class Head {
 public:
    void clear() noexcept;

    [[nodiscard]] bool has(Known name) const noexcept { return first_[index(name)] >= 0; }
    /// The value of the first such field; empty when there is none.
    [[nodiscard]] std::string_view value(Known name) const noexcept {
        const std::int16_t at = first_[index(name)];
        return at < 0 ? std::string_view() : view(fields[static_cast<std::size_t>(at)].value);
    }
    /// All values of a list field in one (RFC 9110 5.3): a view of the only one, or joined in `room`.
    [[nodiscard]] std::string_view joined(Known name, std::string& room) const {
        return is_repeated(name) ? all_of(name, room) : value(name);
    }
    [[nodiscard]] std::size_t count(Known name) const noexcept;
    [[nodiscard]] bool is_repeated(Known name) const noexcept { return (repeated_ >> index(name) & 1) != 0; }

    [[nodiscard]] std::string_view view(Span span) const noexcept { return {head + span.at, span.size}; }
    /// Appends "Name: value" CR LF, of a head that is known to be clean: in one piece, where it stood like
    /// that.
    void append_line(std::string& out, const Field& field) const {
        const std::uint32_t usual = field.name.at + field.name.size + 2;
        if (field.value.at == usual && head[usual - 1] == ' ') {
            out.append(view({field.name.at, usual + field.value.size - field.name.at}));
        } else {
            out.append(view(field.name)).append(": ").append(view(field.value));
        }
        out.append("\r\n");
    }

    /// Adds what the parser found; false when there are too many.
    bool add(const Field& field) {
        if (fields.size() == fields_max) return false;
        std::int16_t& first = first_[index(field.known)];
        if (first < 0) {
            first = static_cast<std::int16_t>(fields.size());
        } else {
            repeated_ |= std::uint64_t{1} << index(field.known);
        }
        fields.push_back(field);
        return true;
    }

    const char* head = nullptr;  ///< first byte of the head
    std::uint32_t head_size = 0;
    std::vector<Field> fields;
    std::uint8_t minor = 1;  ///< HTTP/1.`minor`

 private:
    [[nodiscard]] std::string_view all_of(Known name, std::string& room) const;

    static constexpr std::size_t fields_max = 256;
    static constexpr std::size_t index(Known name) noexcept { return static_cast<std::size_t>(name); }

    static_assert(known_fields < 64);
    std::uint64_t repeated_ = 0;  ///< a bit for each name that came more than once
    std::array<std::int16_t, known_fields + 1> first_ = none();

    static constexpr std::array<std::int16_t, known_fields + 1> none() {
        std::array<std::int16_t, known_fields + 1> all{};
        all.fill(-1);
        return all;
    }
};

/// RFC 9110 5.6.2: which bytes may stand in a token.
inline constexpr std::array<bool, 256> token_bytes = [] {
    std::array<bool, 256> all{};
    for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        all[static_cast<unsigned char>(c)] = true;
    return all;
}();
[[nodiscard]] inline bool is_token_byte(char c) noexcept {
    return token_bytes[static_cast<unsigned char>(c)];
}

/// A token of RFC 9110 5.6.2.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Follows the head from its first field at `at` on: name ":" value CR LF, one field right behind the other,
/// and an empty line (RFC 9112 2.1, 2.2). What one reader takes for a line, all must: so no folded line
/// (5.2), no bare LF, nothing between name and colon. Inside a value the parser itself lets no CR or LF pass.
[[nodiscard]] bool fields_are_clean(const Head& head, std::size_t at) noexcept;

/// Whether all names of fields are tokens.
[[nodiscard]] bool names_are_tokens(const Head& head) noexcept;

}  // namespace worker::http
