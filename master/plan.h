// master/plan.h: what the master itself needs of a configuration; the rest is for workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "conf/models.h"
#include "ipc/result.h"

namespace master {

/// A peer that is a name, and how many places its addresses have.
struct PlannedName {
    std::string upstream, name;
    std::uint32_t places = 0;
    bool operator==(const PlannedName&) const = default;
};

/// A plain value. The configuration it comes from was read in another process, and never was in ours.
struct Plan {
    std::string path;  ///< the configuration's file, absolute; empty: none
    conf::Reeve reeve;
    conf::Accept accept = conf::Accept::reuseport;
    std::uint32_t workers = 1;  ///< with `processes_max`: at first, and at least
    conf::Crew crew;            ///< of each of them
    std::uint32_t processes_max = 0, spares_min = 1, spares_max = 1;  ///< as in conf::Execution
    std::uint64_t max_requests = 0, max_memory = 0;                   ///< as in conf::Execution
    bool preload = false;                                             ///< likewise
    std::vector<conf::Listen> listens;                                ///< `conf::listen_plan`
    std::vector<std::string> access_logs;                             ///< `conf::access_log_paths`
    std::vector<std::string> routes;                                  ///< their names
    /// Of all upstreams: name and address of each peer that is no name.
    std::vector<std::pair<std::string, std::string>> peers;
    std::vector<PlannedName> names;

    std::vector<conf::Pool> pools;           ///< in the order of `conf::Config`
    std::vector<std::string> job_queues;     ///< none: there is no keeper
    std::vector<std::string> job_schedules;  ///< their names
    std::string job_store;                   ///< where their jobs are kept
    std::vector<std::string> checked;        ///< upstreams whose peers are checked
    std::vector<std::string> limited;        ///< upstreams that have a limit of concurrency

    /// Sockets of an address that a worker has, where each who accepts has its own.
    [[nodiscard]] std::uint32_t queues() const noexcept {
        return accept == conf::Accept::reuseport ? crew.loops : 1;
    }
    bool operator==(const Plan&) const = default;
};

[[nodiscard]] Plan make_plan(const conf::Config& config);

/// As JSON, and back. Strict: another shape or a value out of its range is an error.
[[nodiscard]] std::string encode_plan(const Plan& plan);
[[nodiscard]] ipc::Result<Plan> decode_plan(std::string_view text);

}  // namespace master
