// worker/jobs/plain_text.h: text of strangers, so that it can be stored and shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace worker::jobs {

/// What a job's `error` and `progress` hold at most.
constexpr std::size_t plain_text_max = 1024;

/// UTF-8 of at most `bytes_max`, cut between two characters; `?` for control characters and for bytes that
/// are none. White space at both ends goes.
[[nodiscard]] std::string plain_text(std::string_view bytes, std::size_t bytes_max = plain_text_max);

}  // namespace worker::jobs
