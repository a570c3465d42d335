// master/autopsy.h: what a dead process's note says, in words.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/crash_note.h"

namespace master {

/// ` module=greetings handler=hello`, as `ipc::InFlight::module` has it; empty of nothing.
[[nodiscard]] std::string module_words(const std::string& running);

/// ` rss_bytes=70000000 max_memory=64000000 modules_loaded=one,two`: why a process is replaced. Which of them
/// holds what is not known.
[[nodiscard]] std::string memory_words(std::uint64_t rss_bytes, std::uint64_t max_memory,
                                       const std::string& modules);

/// ` module=greetings fault_address=0x10 denied_call=execve backtrace="one < two < hello.so+0x12"`, as far as
/// it is known; without a note what `running` says, if anything. The innermost call comes first; those of
/// objects that this process does not have are offsets, for addr2line. Bounded in length.
/// `running`: what the process itself said that it runs; its module is the note's where that is another.
[[nodiscard]] std::string autopsy(const ipc::CrashNote& note, const std::string& running = {});

}  // namespace master
