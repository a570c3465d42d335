// conf/check.h: what no setting can know alone: names, addresses and paths that must fit each other.
#pragma once

#include "conf/config.h"
#include "conf/report.h"
#include "conf/sections.h"

namespace conf {

/// Refuses what contradicts itself. `config` is complete; entries that were refused before say nothing here.
void check(const Config& config, const Origins& origins, Report& report);

/// What works, but its author may want to think about. `cores`: of this machine, 0 when unknown.
void advise(const Config& config, const Origins& origins, unsigned cores, Report& report);

/// Of pools alone, by the above.
void check_pools(const Config& config, const Origins& origins, Report& report);
void advise_pools(const Config& config, const Origins& origins, Report& report);
/// Of modules alone, by the above.
void check_modules(const Config& config, const Origins& origins, Report& report);
void advise_modules(const Config& config, const Origins& origins, Report& report);
/// Of queues alone, and of the routes that lead to them, by the above.
void check_queues(const Config& config, const Origins& origins, Report& report);
void advise_queues(const Config& config, const Origins& origins, Report& report);
/// Of schedules alone, by the above.
void check_schedules(const Config& config, const Origins& origins, Report& report);
void advise_schedules(const Config& config, const Origins& origins, Report& report);
/// What schedules need of this machine: their files.
void check_schedules_here(const Config& config, const Origins& origins, Report& report);
/// What pools need of this machine: their programs, folders and users. Asks the file system.
void check_pools_here(const Config& config, const Origins& origins, Report& report);
/// The part of each that is about [execution] alone.
void check_execution(const Config& config, const Origins& origins, Report& report);
void advise_execution(const Config& config, const Origins& origins, unsigned cores, Report& report);

/// Where the `nth` value of `key` was written; the section's own line when it was not.
[[nodiscard]] Place place_of(const Section* section, std::string_view key, std::size_t nth = 0);

/// Where `word` stands among the values of `key`; as above when it does not.
[[nodiscard]] Place place_of_word(const Section* section, std::string_view key, std::string_view word);

/// Whether no value of `key` was refused.
[[nodiscard]] bool is_sound(const Section* section, std::string_view key);

}  // namespace conf
