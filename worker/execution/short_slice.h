// worker/execution/short_slice.h: a thread whose work is short is not kept waiting for one whose work is
// long.
#pragma once

#include <chrono>

namespace worker::execution {

/// What a thread that answers requests one by one asks for: the least that Linux gives.
constexpr std::chrono::microseconds shortest_slice{100};

/// Asks the scheduler to give the calling thread turns of `slice` and no longer ones. Its share of a
/// processor stays the same, but when it is woken it goes before threads with longer turns, rather than after
/// theirs: by default that may be 3 ms, each time (EEVDF: sched(7), SCHED_OTHER; Linux 6.12 and later).
/// Policy and nice value are kept. True when the kernel took it; older ones take it and do nothing, which is
/// no loss: they let a woken thread go first anyway.
bool ask_for_slice(std::chrono::microseconds slice) noexcept;

}  // namespace worker::execution
