// worker/http/prefer.h: what a client would like, and can do without (RFC 7240).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace worker::http {

/// Of the preferences that somebody here knows. The first of a name counts (2), in all fields together.
class Preferences {
 public:
    /// The value of one Prefer field; of several, in their order.
    void add(std::string_view value);

    /// `respond-async` (4.1): an answer now is worth more than the result.
    [[nodiscard]] bool respond_async() const noexcept { return respond_async_; }
    /// `wait=N` (4.3): how long the client would wait; nullopt: it does not say, or nothing that makes sense.
    [[nodiscard]] std::optional<std::chrono::seconds> wait() const noexcept { return wait_; }

 private:
    bool respond_async_ = false, wait_said_ = false;
    std::optional<std::chrono::seconds> wait_;
};

}  // namespace worker::http
