// worker/command/result_text.h: what a job has come to, which is bytes of any kind.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace worker::command {

/// Its lines stay lines, and one ends it; what a terminal would obey is written out.
[[nodiscard]] std::string result_on_terminal(std::string_view result);
/// As `text` where it is UTF-8, else as `base64` (RFC 4648 4).
void add_result(nlohmann::ordered_json& json, std::string_view result);

}  // namespace worker::command
