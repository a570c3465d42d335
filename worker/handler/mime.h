// worker/handler/mime.h: media types by file name.
#pragma once

#include <string_view>

namespace worker::handler {

/// By the extension, in any case, ready for Content-Type: text has its `; charset=utf-8`. Names without an
/// extension, dot-files (".profile") and what we do not know are application/octet-stream.
/// `file_name` may have folders before it.
[[nodiscard]] std::string_view mime_type(std::string_view file_name);

}  // namespace worker::handler
