// conf/plan.h: what a Config asks of the outside, each thing once.
#pragma once

#include <string>
#include <vector>

#include "conf/config.h"

namespace conf {

/// The distinct addresses of all servers, in file order; index i is "address i" everywhere.
[[nodiscard]] std::vector<Listen> listen_plan(const Config& config);

/// The distinct files of all access logs, in file order; index i is "access log i" everywhere.
/// "stdout" and "stderr" stand among them as they are.
[[nodiscard]] std::vector<std::string> access_log_paths(const Config& config);

/// Whether bodies may go to files, in `buffer_path`.
[[nodiscard]] bool spills(const Config& config);

/// Whether there is a keeper, and what it needs.
[[nodiscard]] bool has_jobs(const Config& config) noexcept;

/// The first route with `jobs = on` on one of the servers of `from`; null: there is none.
[[nodiscard]] const Route* jobs_route(const Config& config, const Route& from) noexcept;

/// A handler whose requests are never shed: who asks wants to know how it is when it is worst.
[[nodiscard]] constexpr bool is_never_shed(Route::Handler handler) noexcept {
    return handler == Route::Handler::health || handler == Route::Handler::status ||
           handler == Route::Handler::metrics;
}

/// By address of the listen plan: whether all that can be asked there is never shed.
[[nodiscard]] std::vector<bool> never_shed_addresses(const Config& config);

}  // namespace conf
