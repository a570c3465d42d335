// worker/http/parser.h: HTTP/1 heads and body framing (RFC 9112), by llhttp, stricter where bytes could
// smuggle.
#pragma once

#include <llhttp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "worker/http/chunk_lines.h"
#include "worker/http/request.h"
#include "worker/http/status.h"

namespace worker::http {

/// Where a parser stands after some bytes.
enum class Parsed : std::uint8_t {
    more,      ///< fine so far, but incomplete
    head,      ///< the head is complete; a body follows
    complete,  ///< the whole request is
    refused,   ///< malformed: `refusal` is the status to answer; the connection cannot go on
};

/// One request at a time: `reset`, then `head` with growing bytes, then `body` until complete.
class Parser {
 public:
    /// For the next request, whose pieces go to `request`; both stay put until it is complete.
    void reset(Request& request, std::uint64_t head_max, std::uint64_t uri_max) noexcept;

    /// `bytes` begins with the head's first byte at every call, and grows; what was seen is not read again.
    /// At `head` and `complete`, `head_size` of the request says how much was taken.
    [[nodiscard]] Parsed head(std::span<const char> bytes) noexcept;

    /// The next bytes of the body. `taken` grows by what belonged to it, framing included.
    [[nodiscard]] Parsed body(std::span<const char> bytes, std::size_t& taken) noexcept;

    [[nodiscard]] Status refusal() const noexcept { return refusal_; }
    /// What the client says of the connection and its version allows (RFC 9112 9.3).
    [[nodiscard]] bool keep_alive() const noexcept { return keep_alive_; }
    /// Whether any byte of a head has been seen.
    [[nodiscard]] bool begun() const noexcept { return seen_ > 0; }
    [[nodiscard]] bool chunked() const noexcept { return chunked_; }
    /// Of a body that is not chunked.
    [[nodiscard]] std::uint64_t content_length() const noexcept { return content_length_; }
    /// What the last call of `body` found of the payload: views into its bytes, in order.
    [[nodiscard]] std::span<const std::string_view> payload() const noexcept { return payload_; }
    /// Payload bytes of the body so far.
    [[nodiscard]] std::uint64_t body_bytes() const noexcept { return body_bytes_; }

 private:
    friend struct Callbacks;

    [[nodiscard]] Parsed refuse(Status status) noexcept {
        refusal_ = status;
        return Parsed::refused;
    }
    [[nodiscard]] bool plain_head(std::span<const char> bytes) noexcept;
    [[nodiscard]] Parsed over_limit(std::size_t size) noexcept;
    [[nodiscard]] Parsed finish_head(std::size_t size, bool complete) noexcept;
    [[nodiscard]] Status check_head() noexcept;
    [[nodiscard]] bool host_is_valid(std::string_view host) noexcept;
    [[nodiscard]] Status explain(llhttp_errno error, std::span<const char> bytes) const noexcept;

    llhttp_t machine_{};
    Request* request_ = nullptr;
    const char* base_ = nullptr;  // of this call's bytes
    Field field_{};
    std::uint64_t head_max_ = 0, uri_max_ = 0;
    std::uint64_t content_length_ = 0, body_bytes_ = 0, framing_bytes_ = 0;
    std::size_t seen_ = 0;
    std::vector<std::string_view> payload_;
    std::array<char, 64> host_before_{};  ///< of an earlier request, and valid
    std::size_t host_before_size_ = 0;
    Status refusal_ = 400;
    ChunkLines lines_;  ///< of a chunked body
    bool in_head_ = true;
    bool has_body_ = false;
    bool in_value_ = false;
    bool folded_ = false;
    bool keep_alive_ = false;
    bool chunked_ = false;
    bool too_many_ = false;
};

}  // namespace worker::http
