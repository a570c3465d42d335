// worker/http/plain_page.h: the page for a status that has none of its own.
#pragma once

#include <string_view>

#include "worker/http/status.h"

namespace worker::http {

struct PlainPage {
    std::string_view fields;  ///< its Content-Type line
    std::string_view body;    ///< empty where the status has no content
};

/// Made once a status and kept for the life of the process.
[[nodiscard]] PlainPage plain_page(Status status);

}  // namespace worker::http
