#include "worker/handler/buffering.h"

#include <cstdlib>

#include "worker/http/host.h"

namespace worker::handler {

connection::BufferBounds bounds_of(const conf::Proxy& terms, conf::Buffering how) noexcept {
    return {.memory = terms.buffer_memory, .file = how == conf::Buffering::file ? terms.buffer_file_max : 0};
}

NoRoom no_room(ipc::BufferRefusal refusal) {
    switch (refusal) {
        case ipc::BufferRefusal::size: return {413, "the body is larger than the route buffers"};
        case ipc::BufferRefusal::total: return {503, "there is no room for another body"};
        case ipc::BufferRefusal::disk: return {503, "the body could not be written to a file"};
    }
    std::abort();
}

bool is_event_stream(const http::ResponseHead& head) {
    constexpr std::string_view type = "text/event-stream";
    const std::string_view value = head.value(http::Known::content_type);
    return http::equals_ignore_case(value.substr(0, type.size()), type);
}

}  // namespace worker::handler
