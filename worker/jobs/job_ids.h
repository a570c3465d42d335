// worker/jobs/job_ids.h: names for new jobs: UUIDs of version 7 (RFC 9562 5.7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace worker::jobs {

/// One a loop. They cannot be guessed: 74 bits are random, the rest is the time.
class JobIds {
 public:
    [[nodiscard]] std::string next();

 private:
    [[nodiscard]] std::uint64_t random();

    std::array<std::uint64_t, 32> random_{};
    std::size_t used_ = 32;
};

/// 36 digits and hyphens, in lower case: nothing else is the name of a job.
[[nodiscard]] bool is_job_id(std::string_view text) noexcept;

}  // namespace worker::jobs
