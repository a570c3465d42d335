// worker/http/request.h: what the client asked, as views into the bytes it sent.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/http/head.h"
#include "worker/http/target.h"

namespace worker::http {

/// Views are good until the next `keep` or `clear`.
class Request : public Head {
 public:
    void clear() noexcept;

    [[nodiscard]] std::string_view method() const noexcept { return view(method_span); }
    /// As it stood in the request line.
    [[nodiscard]] std::string_view raw_target() const noexcept { return view(target_span); }
    /// The request line up to its version: "GET /path".
    [[nodiscard]] std::string_view begin_of_line() const noexcept {
        return {head + method_span.at, target_span.at + target_span.size - method_span.at};
    }
    /// Likewise, but without scheme and authority where it has these: a path or none, then a query or none.
    [[nodiscard]] std::string_view origin_target() const noexcept;
    /// Whether asking twice does no harm (RFC 9110 9.2.2), of the methods we know.
    [[nodiscard]] bool is_idempotent() const noexcept;
    [[nodiscard]] bool is_head() const noexcept { return method() == "HEAD"; }
    [[nodiscard]] bool is_get() const noexcept { return method() == "GET"; }

    /// Moves the head into memory of its own; views made before are gone.
    void keep();

    Span method_span, target_span;
    Target target;          ///< normalised; set by routing, like the next
    std::string_view host;  ///< of the absolute form or the Host field, without port, in any case

 private:
    void rebase_target(const char* from, const char* to) noexcept;

    std::vector<char> kept_;
};

}  // namespace worker::http
