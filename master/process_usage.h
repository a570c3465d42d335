// master/process_usage.h: what a process has used, from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace master {

struct ProcessUsage {
    double cpu_seconds = 0;       ///< user and system
    std::uint64_t rss_bytes = 0;  ///< resident memory
};

/// None when there is no such process. Only for children not reaped yet, or ourselves: numbers are reused.
[[nodiscard]] std::optional<ProcessUsage> process_usage(pid_t pid);

/// The same from the text of /proc/PID/stat; the name in it may hold blanks and parentheses.
[[nodiscard]] std::optional<ProcessUsage> parse_process_stat(std::string_view stat);

}  // namespace master
