// worker/http/chunk_lines.h: what stands around the payload of a chunked body are whole lines (RFC 9112 7.1).
#pragma once

#include <cstddef>

namespace worker::http {

/// Follows sizes, extensions and trailers beside the parser, which takes more for a line than others do: each
/// ends with CR LF, has neither inside, and none is folded.
class ChunkLines {
 public:
    void reset() noexcept {
        at_ = nullptr;
        last_ = 0;
        loose_ = false;
    }
    /// The next bytes of the body begin here.
    void begin(const char* at) noexcept { at_ = at; }
    /// Payload was found: up to it there were lines.
    void payload(const char* at, std::size_t size) noexcept {
        end(at);
        at_ = at + size;
        last_ = 0;
    }
    /// There were lines up to here.
    void end(const char* end) noexcept {
        for (; at_ < end; ++at_) {
            const char c = *at_;
            const bool line_ends = last_ == '\r';
            const bool folded = last_ == '\n' && (c == ' ' || c == '\t');
            if (line_ends != (c == '\n') || folded) loose_ = true;
            last_ = c;
        }
    }
    [[nodiscard]] bool loose() const noexcept { return loose_; }

 private:
    const char* at_ = nullptr;  // not yet checked
    char last_ = 0;             // 0: payload, or nothing yet
    bool loose_ = false;
};

}  // namespace worker::http
