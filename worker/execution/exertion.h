// worker/execution/exertion.h: burns processor time and sleeps, as much as a route's `work` says.
#pragma once

#include <string>

#include "conf/config.h"

namespace worker::execution {

/// Keeps the thread that calls it busy until its own CPU clock has gone on by `cpu`, then asleep for `wait`:
/// whoever else is on the processor, or on its loop, makes it neither shorter nor cheaper.
void exert(const conf::WorkAmount& amount) noexcept;

/// What is answered then: "worked cpu=5ms wait=20ms\n".
[[nodiscard]] std::string exertion_text(const conf::WorkAmount& amount);

}  // namespace worker::execution
