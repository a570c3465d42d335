// worker/http/cgi_head.h: heads of responses of CGI and FastCGI programs (RFC 3875 6), strict where bytes
// could smuggle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/http/response_parser.h"

namespace worker::http {

/// One response at a time: `reset`, then `head` with growing bytes. Lines end with CR LF or LF alone.
/// `Status` becomes the status, which is else 200, or 302 where there is a Location; of a Location that is a
/// path of this server, for which section 6.2.2 would have us answer ourselves, the client is told likewise.
/// Whatever frames a message or belongs to a connection is no matter of a program's: a Content-Length counts,
/// a Transfer-Encoding is left out.
class CgiHead {
 public:
    /// For the next response, whose pieces go to `head`. `bodiless`: it answers HEAD.
    void reset(ResponseHead& head, bool bodiless, std::uint64_t head_max) noexcept;

    /// `bytes` begins with the head's first byte at every call, and grows; what was seen is not read again.
    /// `head`: it is complete, and `head_size` says how much it took. Never `complete`.
    [[nodiscard]] Parsed head(std::string_view bytes);

    /// `until_end`: what ends the response is the program's end, or the protocol's.
    [[nodiscard]] Framing framing() const noexcept { return framing_; }
    [[nodiscard]] std::uint64_t content_length() const noexcept { return content_length_; }
    /// Why it was refused: a literal.
    [[nodiscard]] std::string_view complaint() const noexcept { return complaint_; }

 private:
    [[nodiscard]] Parsed refuse(std::string_view why) noexcept {
        complaint_ = why;
        return Parsed::refused;
    }
    [[nodiscard]] bool read_line(std::string_view line, std::size_t at);
    [[nodiscard]] bool note(const Field& field, std::string_view value);
    [[nodiscard]] bool read_status(std::string_view value) noexcept;
    void conclude(std::size_t size) noexcept;

    ResponseHead* head_ = nullptr;
    std::uint64_t head_max_ = 0, content_length_ = 0;
    std::size_t line_at_ = 0;  ///< where the first line begins that is not read yet
    std::size_t seen_ = 0;     ///< up to here there is no end of it
    std::string_view complaint_;
    Framing framing_ = Framing::none;
    bool bodiless_ = false, has_length_ = false;
};

}  // namespace worker::http
