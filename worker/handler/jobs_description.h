// worker/handler/jobs_description.h: the API of jobs as OpenAPI describes it.
#pragma once

#include <string>
#include <string_view>

namespace worker::handler {

/// JSON, version 3.1. `path`: below which it is, with a slash at its end; `token`: one is wanted.
[[nodiscard]] std::string jobs_description(std::string_view path, bool token);

}  // namespace worker::handler
