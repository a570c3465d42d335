// worker/jobs/timetable.h: when a schedule is due.
#pragma once

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "conf/schedule.h"
#include "worker/jobs/job.h"

namespace worker::jobs {

/// Where clocks are changed: what names hours and would be due in an hour that is left out is due at the
/// change, once; in an hour that comes twice it is due the first time. What is due every hour is due as time
/// passes: nothing is made up for, and nothing left out. Any thread.
class Timetable {
 public:
    /// `schedule` has been checked. A zone that this machine does not know any more is UTC.
    explicit Timetable(const conf::Schedule& schedule);

    /// The first run after that moment; none within fifty years: none.
    [[nodiscard]] std::optional<UnixMs> next(UnixMs after) const;

    struct Runs {
        std::deque<UnixMs> latest;
        std::uint64_t earlier = 0;  ///< at least so many were due before these
    };
    /// Those after `after`, up to `until`: the last ones, so many at most. Bounded in time, however long ago
    /// `after` is.
    [[nodiscard]] Runs between(UnixMs after, UnixMs until, std::size_t most) const;

 private:
    using Moment = cctz::time_point<cctz::seconds>;

    [[nodiscard]] std::optional<cctz::civil_minute> match(cctz::civil_minute from) const;
    [[nodiscard]] std::optional<Moment> next_on_the_wall(Moment after) const;
    [[nodiscard]] std::optional<Moment> next_as_time_passes(Moment after) const;

    conf::Cron cron_;
    UnixMs every_ms_;
    cctz::time_zone zone_;
};

}  // namespace worker::jobs
