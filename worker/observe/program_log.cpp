#include "worker/observe/program_log.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace worker::observe {
namespace {

constexpr std::size_t line_bytes_max = 2048;
constexpr std::uint32_t request_lines_max = 64;

}  // namespace

void ProgramLog::add(Lines& lines, std::string_view bytes, const About& about) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        const std::size_t room = line_bytes_max - lines.begun.size();
        if (!lines.cut) lines.begun.append(part.substr(0, room));
        lines.cut = lines.cut || part.size() > room;
        if (end == std::string_view::npos) return;
        tell(lines, about);
        bytes.remove_prefix(end + 1);
    }
}

void ProgramLog::end(Lines& lines, const About& about) {
    tell(lines, about);
    lines.told = 0;
}

void ProgramLog::tell(Lines& lines, const About& about) {
    while (lines.begun.ends_with('\r')) lines.begun.pop_back();
    const bool cut = std::exchange(lines.cut, false);
    if (lines.begun.empty()) return;
    const std::uint64_t now = clock_.now_ms();
    left_ = std::min(lines_at_once, left_ + static_cast<double>(now - refilled_ms_) * lines_a_second / 1000);
    refilled_ms_ = now;
    if (lines.told >= request_lines_max || left_ < 1) {
        ++untold_;
    } else {
        left_ -= 1;
        ++lines.told;
        spdlog::warn("program says {}={} peer={} id={:?} request={:?} text={:?}{} more_untold={}", of_, name_,
                     about.peer, about.id, about.request, lines.begun, cut ? " cut=yes" : "",
                     std::exchange(untold_, 0));
    }
    lines.begun.clear();
}

}  // namespace worker::observe
