// tests/worker/timetable_test.cpp: when schedules are due, where clocks are changed, too.
#include "worker/jobs/timetable.h"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <random>
#include <vector>

#include "conf/schedule_types.h"

using worker::jobs::Timetable;
using worker::jobs::UnixMs;

namespace {

constexpr const char* berlin = "Europe/Berlin";
constexpr const char* new_york = "America/New_York";

conf::Schedule schedule_of(const std::string& cron, const std::string& zone = "UTC") {
    conf::Schedule schedule;
    const auto parsed = conf::parse_cron(cron);
    if (!parsed) FAIL(parsed.error());
    schedule.cron = *parsed;
    schedule.timezone = zone;
    return schedule;
}

UnixMs utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0, int second = 0) {
    using namespace std::chrono;
    const sys_days date{std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day)};
    return duration_cast<milliseconds>(date.time_since_epoch() + hours(hour) + minutes(minute) +
                                       seconds(second))
        .count();
}

std::vector<UnixMs> runs(const Timetable& table, UnixMs after, std::size_t count) {
    std::vector<UnixMs> found;
    for (auto at = table.next(after); at && found.size() < count; at = table.next(*at)) found.push_back(*at);
    return found;
}
std::vector<UnixMs> runs(const std::string& cron, const std::string& zone, UnixMs after, std::size_t count) {
    return runs(Timetable(schedule_of(cron, zone)), after, count);
}
using Times = std::vector<UnixMs>;

}  // namespace

TEST_CASE("a run is the first minute that fits after the one before", "[jobs][schedule]") {
    CHECK(runs("*/20 * * * *", "UTC", utc(2026, 5, 1, 10, 0), 3) ==
          Times{utc(2026, 5, 1, 10, 20), utc(2026, 5, 1, 10, 40), utc(2026, 5, 1, 11, 0)});
    CHECK(runs("*/20 * * * *", "UTC", utc(2026, 5, 1, 9, 59, 59) + 999, 1) == Times{utc(2026, 5, 1, 10, 0)});
    CHECK(runs("30 9-10 * * mon-fri", "UTC", utc(2026, 5, 1, 9, 45), 2) ==
          Times{utc(2026, 5, 1, 10, 30), utc(2026, 5, 4, 9, 30)});
    CHECK(runs("0 0 31 * *", "UTC", utc(2026, 3, 31), 2) == Times{utc(2026, 5, 31), utc(2026, 7, 31)});
    CHECK(runs("59 23 31 12 *", "UTC", utc(2026, 12, 31, 23, 59), 1) == Times{utc(2027, 12, 31, 23, 59)});
    CHECK(runs("0 12 13 * fri", "UTC", utc(2026, 5, 9), 2) ==
          Times{utc(2026, 5, 13, 12), utc(2026, 5, 15, 12)});
    CHECK(runs("0 8 * * *", berlin, utc(2026, 1, 10), 1) == Times{utc(2026, 1, 10, 7)});
    CHECK(runs("0 8 * * *", berlin, utc(2026, 7, 10), 1) == Times{utc(2026, 7, 10, 6)});
    CHECK(runs("0 8 * * *", "Asia/Kolkata", utc(2026, 7, 10), 1) == Times{utc(2026, 7, 10, 2, 30)});
}

TEST_CASE("the 29th of February comes in leap years alone", "[jobs][schedule]") {
    CHECK(runs("0 0 29 2 *", "UTC", utc(2026, 1, 1), 2) == Times{utc(2028, 2, 29), utc(2032, 2, 29)});
    CHECK(runs("0 0 29 2 *", "UTC", utc(2096, 3, 1), 1) == Times{utc(2104, 2, 29)});  // 2100 is none
    CHECK(runs("0 0 29 2 *", berlin, utc(2028, 3, 1), 1) == Times{utc(2032, 2, 28, 23)});
    // begins with `*`: the 29th, when it is a Sunday
    CHECK(runs("0 0 29 2 */7", "UTC", utc(2026, 1, 1), 1) == Times{utc(2032, 2, 29)});
}

TEST_CASE("what is due in an hour that is left out is due at the change, once", "[jobs][schedule]") {
    const auto change = utc(2026, 3, 29, 1);  // 02:00 is 03:00
    CHECK(runs("30 2 * * *", berlin, utc(2026, 3, 28, 12), 2) == Times{change, utc(2026, 3, 30, 0, 30)});
    CHECK(runs("*/20 2 * * *", berlin, utc(2026, 3, 28, 12), 2) == Times{change, utc(2026, 3, 30, 0, 0)});
    CHECK(runs("0 2,3 * * *", berlin, utc(2026, 3, 28, 12), 2) == Times{change, utc(2026, 3, 30, 0)});
    CHECK(runs("30 2 29 3 *", berlin, utc(2026, 3, 28), 2) == Times{change, utc(2027, 3, 29, 0, 30)});
    CHECK(runs("30 2 * * *", new_york, utc(2026, 3, 7, 12), 2) ==
          Times{utc(2026, 3, 8, 7), utc(2026, 3, 9, 6, 30)});
    // also for who asks within the hour before it
    CHECK(runs("30 2 * * *", berlin, change - 1000, 1) == Times{change});
    CHECK(runs("30 2 * * *", berlin, change, 1) == Times{utc(2026, 3, 30, 0, 30)});
}

TEST_CASE("what is due in an hour that comes twice is due the first time", "[jobs][schedule]") {
    // Berlin, 25 October: 03:00 is 02:00, at 01:00 UTC
    CHECK(runs("30 2 * * *", berlin, utc(2026, 10, 24, 12), 2) ==
          Times{utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)});
    CHECK(runs("*/30 2 * * *", berlin, utc(2026, 10, 24, 12), 3) ==
          Times{utc(2026, 10, 25, 0, 0), utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 0)});
    CHECK(runs("30 2 * * *", berlin, utc(2026, 10, 25, 0, 30), 1) == Times{utc(2026, 10, 26, 1, 30)});
    CHECK(runs("30 2 * * *", berlin, utc(2026, 10, 25, 1, 10), 1) == Times{utc(2026, 10, 26, 1, 30)});
    CHECK(runs("30 1 * * *", new_york, utc(2026, 10, 31, 12), 2) ==
          Times{utc(2026, 11, 1, 5, 30), utc(2026, 11, 2, 6, 30)});
}

TEST_CASE("what is due every hour goes on as time passes", "[jobs][schedule]") {
    const auto half_hours = [](const std::string& zone, UnixMs from) {
        Times expected;
        for (int i = 1; i <= 8; ++i) expected.push_back(from + i * 30LL * 60 * 1000);
        CHECK(runs("*/30 * * * *", zone, from, 8) == expected);
    };
    half_hours(berlin, utc(2026, 3, 28, 23));
    half_hours(berlin, utc(2026, 10, 24, 23));
    half_hours(new_york, utc(2026, 3, 8, 5));
    half_hours(new_york, utc(2026, 11, 1, 4));
    half_hours("Australia/Lord_Howe", utc(2026, 4, 4, 13));  // changes by half an hour
    // of one day alone: it has 23 hours, 25 hours
    CHECK(Timetable(schedule_of("15 * 29 3 *", berlin))
              .between(utc(2026, 3, 1), utc(2026, 4, 30), 99)
              .latest.size() == 23);
    CHECK(Timetable(schedule_of("15 * 25 10 *", berlin))
              .between(utc(2026, 10, 1), utc(2026, 11, 30), 99)
              .latest.size() == 25);
}

TEST_CASE("every is at multiples of it, since 1970", "[jobs][schedule]") {
    conf::Schedule schedule;
    schedule.every = std::chrono::minutes(10);
    const Timetable table(schedule);
    CHECK(runs(table, utc(2026, 5, 1, 10, 3), 2) == Times{utc(2026, 5, 1, 10, 10), utc(2026, 5, 1, 10, 20)});
    CHECK(runs(table, utc(2026, 5, 1, 10, 10), 1) == Times{utc(2026, 5, 1, 10, 20)});
    CHECK(runs(table, utc(1969, 12, 31, 23, 55), 1) == Times{0});
}

TEST_CASE("runs follow one another, fit, and leave out none", "[jobs][schedule]") {
    std::mt19937 random(20261122);
    const auto any = [&](int least, int most) {
        return std::uniform_int_distribution<int>(least, most)(random);
    };
    const char* zones[] = {
        "UTC", berlin, new_york, "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"};
    for (int round = 0; round < 60; ++round) {
        const std::string zone_name = zones[any(0, 5)];
        const auto cron = fmt::format("{} {} * * *", any(0, 1) ? "*/20" : std::to_string(any(0, 59)),
                                      any(0, 1) ? "*" : std::to_string(any(0, 23)));
        const auto schedule = schedule_of(cron, zone_name);
        const Timetable table(schedule);
        cctz::time_zone zone;
        REQUIRE(cctz::load_time_zone(zone_name, &zone));
        CAPTURE(zone_name, cron);
        const UnixMs begin = utc(2026, static_cast<unsigned>(any(1, 12)), 1), end = begin + 40 * 86'400'000LL;
        UnixMs before = begin;
        const auto fits = [&](UnixMs at) {
            const cctz::time_point<cctz::seconds> moment{std::chrono::seconds(at / 1000)};
            const auto shown = zone.lookup(moment).cs;
            return shown.second() == 0 && (schedule.cron.minutes >> shown.minute() & 1) != 0 &&
                   (schedule.cron.hours >> shown.hour() & 1) != 0;
        };
        for (auto at = table.next(before); at && *at <= end; before = *at, at = table.next(*at)) {
            CHECK(*at > before);
            for (auto other = (before / 60'000 + 1) * 60'000; other < *at; other += 60'000) {
                if (!fits(other)) continue;
                // the second time that a clock shows it
                const cctz::time_point<cctz::seconds> moment{std::chrono::seconds(other / 1000)};
                const auto when = zone.lookup(zone.lookup(moment).cs);
                CHECK(when.kind == cctz::time_zone::civil_lookup::REPEATED);
                CHECK(when.post == moment);
                CHECK_FALSE(schedule.cron.is_every_hour());
            }
        }
        CHECK(end - before <= 2 * 86'400'000LL);
    }
}

TEST_CASE("of runs long past only the last ones are looked at", "[jobs][schedule]") {
    const Timetable minutely(schedule_of("* * * * *"));
    const auto now = utc(2026, 5, 1);
    const auto few = minutely.between(now - 5 * 60'000, now, 1000);
    CHECK(few.latest == std::deque<UnixMs>{now - 240'000, now - 180'000, now - 120'000, now - 60'000, now});
    CHECK(few.earlier == 0);
    const auto many = minutely.between(utc(1990, 1, 1), now, 1000);
    CHECK(many.latest.size() == 1000);
    CHECK(many.latest.back() == now);
    CHECK(many.latest.front() == now - 999 * 60'000LL);
    CHECK(many.earlier > 0);
    const Timetable yearly(schedule_of("@yearly", berlin));
    const auto years = yearly.between(utc(2020, 6, 1), now, 1000);
    CHECK(years.latest.size() == 6);
    CHECK(years.earlier == 0);
    CHECK(minutely.between(now, now, 10).latest.empty());
    CHECK(minutely.between(now, now - 1, 10).latest.empty());
}
