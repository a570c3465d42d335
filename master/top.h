// master/top.h: `reeve top`: what `reeve status` knows, again and again, with rates.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ipc/result.h"

namespace master {

/// How a frame may look.
struct TopSize {
    std::size_t columns = 80;
    std::size_t lines = 24;  ///< 0: as many as there are
};

/// One picture from two answers of `status json`; `before` may be empty: then there are no rates yet. A field
/// that is missing counts as 0, one that is unknown is of no interest: the master may be of another version.
[[nodiscard]] ipc::Result<std::string> top_frame(const std::string& before, const std::string& now,
                                                 std::chrono::milliseconds between, TopSize size);

struct TopOptions {
    std::string control;  ///< path of the control socket
    std::chrono::milliseconds interval{1000};
    std::uint64_t frames = 0;  ///< 0: until told to stop
};

/// Shows frames: in a terminal in place until `q`, INT or TERM; otherwise one after the other. Fails when the
/// master is not there, or leaves.
[[nodiscard]] ipc::Result<void> run_top(const TopOptions& options);

}  // namespace master
