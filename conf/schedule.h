// conf/schedule.h: [schedule NAME]: jobs that are made by the clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace conf {

/// The minutes that `*/5 * * * *` means, by a calendar and a clock on the wall. Bit n is the value n.
struct Cron {
    std::string text;            ///< as written, with single blanks; empty: none
    std::uint64_t minutes = 0;   ///< 0 to 59
    std::uint32_t hours = 0;     ///< 0 to 23
    std::uint32_t days = 0;      ///< 1 to 31
    std::uint32_t months = 0;    ///< 1 to 12
    std::uint32_t weekdays = 0;  ///< 0 to 6, from Sunday
    /// Both days of the month and days of the week are restricted (neither begins with `*`): a day is one
    /// that either of them names, not both.
    bool either_day = false;
    bool operator==(const Cron&) const = default;

    [[nodiscard]] bool is_month(unsigned month) const noexcept { return (months >> month & 1) != 0; }
    /// Of a month that is one. `weekday`: from Sunday, 0.
    [[nodiscard]] bool is_day(unsigned day, unsigned weekday) const noexcept {
        const bool of_month = (days >> day & 1) != 0, of_week = (weekdays >> weekday & 1) != 0;
        return either_day ? of_month || of_week : of_month && of_week;
    }
    /// It names no hours: then it means time that passes, and not what a clock shows when it is changed.
    [[nodiscard]] bool is_every_hour() const noexcept { return hours == 0xff'ffff; }
};

/// [schedule NAME]: exactly one of `cron` and `every`.
struct Schedule {
    enum class Missed : std::uint8_t { skip, once, all };

    std::string name;
    Cron cron;
    std::chrono::milliseconds every{0};  ///< multiples of it since 1970, UTC; 0: unset
    std::string timezone = "UTC";        ///< of `cron`: a name of the IANA's
    std::string queue;
    std::string body, body_file;             ///< at most one of them; the file's path is absolute
    std::string content_type;                ///< empty: none
    std::string key;                         ///< of `key_concurrency`; empty: none
    std::optional<std::int32_t> priority{};  ///< unset: the queue's
    Missed missed = Missed::once;
    bool operator==(const Schedule&) const = default;
};

constexpr std::size_t schedules_max = 128;
/// Runs that `missed = all` makes up for.
constexpr std::size_t missed_runs_max = 1000;

}  // namespace conf
