// worker/http/response.h: what a handler answers; the protocol adds framing, date and connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/connection/output.h"
#include "worker/http/status.h"

namespace worker::http {

/// Header lines are text, "Name: value\r\n" each: prepared ones cost one copy. Never framing
/// (Content-Length, Transfer-Encoding, Connection), Date or Server: those are the protocol's.
struct Response {
    Status status = 200;
    std::string_view fields;  ///< prepared lines; must stay put until the response is written
    connection::Ref<connection::Shared> keeper;  ///< whose lines these are, when they may go before that
    std::string more_fields;                     ///< lines made for this response
    std::vector<connection::Chunk> body;
    std::uint64_t body_size = 0;  ///< the sum of the chunks; what HEAD announces
    bool length_known = true;     ///< `body_size` is; false only where the body goes piece by piece
    bool close = false;           ///< the connection goes after this
    std::string trailers;         ///< lines to follow a chunked body (RFC 9110 6.5)

    void clear() {
        status = 200;
        fields = {};
        keeper = {};
        more_fields.clear();
        body.clear();
        body_size = 0;
        length_known = true;
        close = false;
        trailers.clear();
    }
    void add(const connection::Chunk& chunk) {
        body_size += chunk.size;
        body.push_back(chunk);
    }
    /// Text that outlives the response: a literal, or the handler's own.
    void add_lasting(std::string_view text) { add({{}, text.data(), -1, 0, text.size()}); }
    void add_field(std::string_view name, std::string_view value) {
        more_fields.append(name).append(": ").append(value).append("\r\n");
    }
};

}  // namespace worker::http
