#include "worker/jobs/job_ids.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "worker/jobs/unix_clock.h"

namespace worker::jobs {

std::uint64_t JobIds::random() {
    if (used_ == random_.size()) {
        if (::getrandom(random_.data(), sizeof random_, 0) != sizeof random_) std::abort();
        used_ = 0;
    }
    return random_.at(used_++);
}

std::string JobIds::next() {
    const auto ms = static_cast<std::uint64_t>(std::max<UnixMs>(unix_ms(), 0));
    const auto high = random(), low = random();
    return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", (ms >> 16) & 0xffff'ffff, ms & 0xffff,
                       high & 0xfff, 0x8000 | ((high >> 12) & 0x3fff), low & 0xffff'ffff'ffff);
}

bool is_job_id(std::string_view text) noexcept {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

}  // namespace worker::jobs
