// master/lab/trials.h: which servers are tried, and with which load.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "master/lab/load.h"
#include "master/lab/server.h"

namespace master::lab {

struct Trial {
    std::string key;    ///< "heavy/single"
    std::string title;  ///< for people
    Setting setting;
    Load load;
};

struct Extent {
    double seconds = 120;  ///< for everything, about
    bool quick = false;    ///< a few trials of each kind, and short ones: to see that it works
    std::uint32_t cpus = 1;
};

/// One of the loads that every model is given.
struct Workload {
    std::string_view name, title, about;
    std::string_view judged;  ///< the stream whose latencies are compared
};
[[nodiscard]] const std::vector<Workload>& workloads();

/// In the order in which they are made. Keys: WORKLOAD/MODEL; load/one/PERCENT and load/many/PERCENT;
/// scale/wait/N and scale/cpu/N; skew/MODEL; freeze/WHERE; tiny/WHERE and task/WHERE, where WHERE is inline,
/// threads (of the pool, or beside the loop), processes or thread-pool.
[[nodiscard]] std::vector<Trial> trials(const Extent& extent);

/// What one trial costs beside its load, on average: to start a server, to connect clients, to wait for late
/// answers, to end it.
constexpr double trial_overhead_seconds = 0.4;

// What the statements need to know again.
constexpr double load_wait_ms = 5;        ///< of `load/...`: what a request waits
constexpr double scale_wait_ms = 20;      ///< of `scale/wait/N`
constexpr double scale_cpu_ms = 4;        ///< of `scale/cpu/N`
constexpr double freeze_cpu_ms = 150;     ///< of `freeze/...`
constexpr double heavy_wait_ms = 200;     ///< of `heavy/...`
constexpr std::uint32_t skew_loops = 4;   ///< and threads
constexpr std::uint32_t many_loops = 16;  ///< of `load/many/...`

}  // namespace master::lab
