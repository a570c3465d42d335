// worker/http/response_parser.h: responses of peers (RFC 9112), by llhttp, stricter where bytes could
// smuggle, and quicker where they cannot.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/http/chunk_lines.h"
#include "worker/http/head.h"
#include "worker/http/parser.h"
#include "worker/http/status.h"

namespace worker::http {

/// How the end of a body is told (RFC 9112 6.3).
enum class Framing : std::uint8_t {
    none,     ///< there is no body
    length,   ///< by `content_length`
    chunked,  ///< by itself
    until_end,
};

/// The head of a response, as views into the bytes that came.
struct ResponseHead : Head {
    Status status = 0;
};

/// Heads as nearly all are, whole in one read and with nothing special in them, are taken in one pass of our
/// own; all others, and each that it does not like, are for llhttp to judge. One response at a time, interim
/// ones apart: `reset`, then `head` with growing bytes, then, when it is chunked, `body`. Other bodies need
/// no parser.
class ResponseParser {
 public:
    /// For the next response, whose pieces go to `head`; both stay put until it is complete. `bodiless`: it
    /// answers HEAD.
    void reset(ResponseHead& head, bool bodiless, std::uint64_t head_max) noexcept;

    /// `bytes` begins with the head's first byte at every call, and grows; what was seen is not read again.
    /// `head`: it is complete, and `head_size` says how much it took. Never `complete`.
    [[nodiscard]] Parsed head(std::span<const char> bytes) noexcept;
    /// Of a chunked body. `taken` grows by what belonged to it, framing included.
    [[nodiscard]] Parsed body(std::span<const char> bytes, std::size_t& taken);

    [[nodiscard]] Framing framing() const noexcept { return framing_; }
    [[nodiscard]] std::uint64_t content_length() const noexcept { return content_length_; }
    /// Whether the connection may carry another request after this.
    [[nodiscard]] bool keep_alive() const noexcept { return keep_alive_; }
    /// What the last call of `body` found of the payload.
    [[nodiscard]] std::span<const std::string_view> payload() const noexcept { return payload_; }
    /// Lines that followed a chunked body, "Name: value\r\n" each; at most as much as a head may have.
    [[nodiscard]] const std::string& trailers() const noexcept { return trailers_; }
    /// Why it was refused: a literal.
    [[nodiscard]] std::string_view complaint() const noexcept { return complaint_; }

 private:
    friend struct ResponseCallbacks;

    [[nodiscard]] Parsed refuse(std::string_view why) noexcept {
        complaint_ = why;
        return Parsed::refused;
    }
    [[nodiscard]] bool plain_head(std::string_view bytes) noexcept;
    [[nodiscard]] bool note_plain(const Field& field) noexcept;
    void begin_machine() noexcept;
    [[nodiscard]] std::string_view check_head() const noexcept;
    void find_framing() noexcept;
    void find_framing(bool chunked, bool has_length, bool says_close, bool says_keep) noexcept;
    [[nodiscard]] int extend_trailer(std::string& part, std::string_view bytes);
    [[nodiscard]] int end_trailer();

    llhttp_t machine_{};
    ResponseHead* head_ = nullptr;
    const char* base_ = nullptr;
    Field field_{};
    std::uint64_t head_max_ = 0, content_length_ = 0;
    std::uint64_t framing_bytes_ = 0, body_bytes_ = 0;
    std::size_t seen_ = 0;
    std::vector<std::string_view> payload_;
    std::string trailers_, trailer_name_, trailer_value_;
    std::string_view complaint_;
    ChunkLines lines_;
    Framing framing_ = Framing::none;
    bool bodiless_ = false, in_head_ = true, in_value_ = false, folded_ = false, too_many_ = false;
    bool keep_alive_ = false;
};

}  // namespace worker::http
