// master/process_memory.h: what a process has of memory, by whether others have it too, from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace master {

/// Resident memory in bytes. What a process shares with those it was forked from, or forked with, it has in
/// common until one of them writes to it: copy on write, page by page.
struct ProcessMemory {
    std::uint64_t private_bytes = 0;  ///< of nobody else
    std::uint64_t shared_bytes = 0;  ///< of somebody else too: programs, files, shared memory, pages of forks
    std::uint64_t pss_bytes = 0;     ///< private, and of what is shared its part; sums up over processes
};

/// None when there is no such process, or when we may not know. The kernel walks all of its memory: some
/// 10 ms a GiB, so only for somebody who asks. Only for children not reaped yet, or ourselves.
[[nodiscard]] std::optional<ProcessMemory> process_memory(pid_t pid);

/// The same from the text of /proc/PID/smaps_rollup.
[[nodiscard]] std::optional<ProcessMemory> parse_smaps_rollup(std::string_view text);

struct Status;

/// Fills in the memory of all processes of `status`. Stops after a fifth of a second: the master does
/// nothing else meanwhile. Of those left out nothing is known.
void look_at_memory(Status& status);

}  // namespace master
