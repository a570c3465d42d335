// worker/handler/buffering.h: what routes that buffer bodies have in common.
#pragma once

#include <string_view>

#include "conf/config.h"
#include "ipc/buffer_use.h"
#include "worker/connection/buffers.h"
#include "worker/http/response_parser.h"

namespace worker::handler {

/// What one body may have.
[[nodiscard]] connection::BufferBounds bounds_of(const conf::Proxy& terms, conf::Buffering how) noexcept;

/// A request whose body finds no room: what its client gets to know.
struct NoRoom {
    http::Status status;
    std::string_view reason;  ///< for the log: a literal
};
[[nodiscard]] NoRoom no_room(ipc::BufferRefusal refusal);

/// Server-sent events are never buffered.
[[nodiscard]] bool is_event_stream(const http::ResponseHead& head);

}  // namespace worker::handler
