#include "worker/jobs/timetable.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace worker::jobs {
namespace {

constexpr int years_looked = 50;
constexpr UnixMs first_window = 24LL * 3600 * 1000;
constexpr int window_growth = 8;

constexpr UnixMs floor_div(UnixMs value, UnixMs by) { return value / by - (value % by < 0 ? 1 : 0); }

/// From Sunday, 0.
unsigned weekday_of(const cctz::civil_day& day) {
    return (static_cast<unsigned>(cctz::get_weekday(day)) + 1) % 7;  // cctz counts from Monday
}

}  // namespace

Timetable::Timetable(const conf::Schedule& schedule)
    : cron_(schedule.cron), every_ms_(schedule.every.count()) {
    (void)cctz::load_time_zone(schedule.timezone, &zone_);
}

std::optional<UnixMs> Timetable::next(UnixMs after) const {
    if (every_ms_ > 0) return (floor_div(after, every_ms_) + 1) * every_ms_;
    const Moment moment{std::chrono::seconds(floor_div(after, 1000))};
    const auto found = cron_.is_every_hour() ? next_as_time_passes(moment) : next_on_the_wall(moment);
    if (!found) return std::nullopt;
    return found->time_since_epoch().count() * 1000;
}

/// The first minute that is one, at or after that, by the calendar alone.
std::optional<cctz::civil_minute> Timetable::match(cctz::civil_minute from) const {
    const auto last = from.year() + years_looked;
    for (cctz::civil_day day(from); day.year() <= last;) {
        if (!cron_.is_month(static_cast<unsigned>(day.month()))) {
            day = cctz::civil_day(cctz::civil_month(day) + 1);
            continue;
        }
        if (cron_.is_day(static_cast<unsigned>(day.day()), weekday_of(day))) {
            const auto begin = std::max(from, cctz::civil_minute(day));
            for (int hour = begin.hour(); hour < 24; ++hour) {
                if ((cron_.hours >> hour & 1) == 0) continue;
                const int minute = hour == begin.hour() ? begin.minute() : 0;
                if (const auto rest = cron_.minutes >> minute; rest != 0)
                    return cctz::civil_minute(day.year(), day.month(), day.day(), hour,
                                              minute + std::countr_zero(rest));
            }
        }
        ++day;
    }
    return std::nullopt;
}

std::optional<Timetable::Moment> Timetable::next_on_the_wall(Moment after) const {
    // Behind a change back the clock shows what it has shown: that is before `after`, and left out.
    for (cctz::civil_minute from(zone_.lookup(after).cs);;) {
        const auto found = match(from);
        if (!found) return std::nullopt;
        const auto when = zone_.lookup(cctz::civil_second(*found));
        const auto at = when.kind == cctz::time_zone::civil_lookup::SKIPPED ? when.trans : when.pre;
        if (at > after) return at;
        from = *found + 1;
    }
}

/// From change to change of the clock: between them it goes as time does.
std::optional<Timetable::Moment> Timetable::next_as_time_passes(Moment after) const {
    const cctz::civil_second epoch(1970, 1, 1, 0, 0, 0);
    auto shown = zone_.lookup(after);
    const auto last = shown.cs.year() + years_looked;
    cctz::civil_minute from = cctz::civil_minute(shown.cs) + 1;
    for (Moment begin = after; shown.cs.year() <= last;) {
        cctz::time_zone::civil_transition change;
        const bool changes = zone_.next_transition(begin, &change);
        const auto changed = changes ? zone_.lookup(change.to).trans : Moment::max();
        if (const auto found = match(from)) {
            const Moment at{std::chrono::seconds((cctz::civil_second(*found) - epoch) - shown.offset)};
            if (at < changed) return at;
        }
        if (!changes || changed <= begin) return std::nullopt;
        begin = changed;
        shown = zone_.lookup(begin);
        from = cctz::civil_minute(shown.cs);
        if (shown.cs.second() != 0) from += 1;
    }
    return std::nullopt;
}

Timetable::Runs Timetable::between(UnixMs after, UnixMs until, std::size_t most) const {
    Runs runs;
    for (UnixMs window = first_window;; window *= window_growth) {
        const auto begin = until - after > window ? until - window : after;
        runs = {};
        for (auto at = next(begin); at && *at <= until; at = next(*at)) {
            runs.latest.push_back(*at);
            if (runs.latest.size() <= most) continue;
            runs.latest.pop_front();
            ++runs.earlier;
        }
        if (begin == after || runs.earlier > 0) return runs;
    }
}

}  // namespace worker::jobs
