// master/autopsy.h: what a dead worker's note says, in words.
#pragma once

#include <string>

#include "ipc/crash_note.h"

namespace master {

/// ` fault_address=0x10 denied_call=execve backtrace="one < two < three"`, as far as it is known; empty
/// without a note. The innermost call comes first. Bounded in length.
[[nodiscard]] std::string autopsy(const ipc::CrashNote& note);

}  // namespace master
