// master/process_memory.cpp: sums over the lines of proc(5)'s smaps_rollup, within a budget of time.
#include "master/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "ipc/clock.h"
#include "ipc/unique_fd.h"
#include "master/status.h"

namespace master {
namespace {

constexpr std::uint64_t looking_ms = 200;  ///< for all processes together; the last one may take longer
constexpr std::string_view unit = " kB";

/// "Pss:                 191 kB" of `Pss` is its bytes.
std::optional<std::uint64_t> value_of(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == line.npos || !line.ends_with(unit)) return std::nullopt;
    line.remove_suffix(unit.size());
    line.remove_prefix(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
    std::uint64_t kibibytes = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kibibytes);
    if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return kibibytes * 1024;
}

}  // namespace

std::optional<ProcessMemory> parse_smaps_rollup(std::string_view text) {
    ProcessMemory memory;
    bool is_whole = false;
    while (!text.empty()) {
        const auto size = text.find('\n');
        if (size == text.npos) break;  // cut
        const auto line = text.substr(0, size);
        text.remove_prefix(size + 1);
        const bool is_private = line.starts_with("Private_"), is_shared = line.starts_with("Shared_");
        const bool is_pss = line.starts_with("Pss:");
        if (!is_private && !is_shared && !is_pss) continue;
        const auto bytes = value_of(line);
        if (!bytes) return std::nullopt;
        if (is_private) memory.private_bytes += *bytes;
        if (is_shared) memory.shared_bytes += *bytes;
        if (is_pss) memory.pss_bytes = *bytes;
        is_whole = is_whole || line.starts_with("Private_Dirty:");  // behind all others, but of huge pages
    }
    if (!is_whole) return std::nullopt;
    return memory;
}

std::optional<ProcessMemory> process_memory(pid_t pid) {
    const auto path = "/proc/" + std::to_string(pid) + "/smaps_rollup";
    const ipc::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::array<char, 4096> text{};
    const auto size = ::read(file.get(), text.data(), text.size());
    if (size <= 0) return std::nullopt;  // ended, and not collected yet
    return parse_smaps_rollup({text.data(), static_cast<std::size_t>(size)});
}

void look_at_memory(Status& status) {
    const auto late = ipc::monotonic_ms() + looking_ms;
    const auto look_at = [late](pid_t pid) -> std::optional<ProcessMemory> {
        if (pid <= 0 || ipc::monotonic_ms() >= late) return std::nullopt;
        return process_memory(pid);
    };
    status.master.memory = look_at(status.master.pid);
    for (auto& worker : status.workers) worker.memory = look_at(worker.pid);
    for (auto* companions : {&status.preloaders, &status.sentinels, &status.keepers})
        for (auto& each : *companions) each.memory = look_at(each.pid);
    for (auto& pool : status.pools) {
        pool.memory.clear();
        pool.memory.reserve(pool.report.members.size());
        for (const auto& member : pool.report.members) pool.memory.push_back(look_at(member.pid));
    }
}

}  // namespace master
