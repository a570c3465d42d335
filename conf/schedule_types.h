// conf/schedule_types.h: the types of settings of schedules.
#pragma once

#include <string>
#include <string_view>

#include "conf/schedule.h"
#include "conf/setting.h"

namespace conf {

/// `*/5 * * * *`: minute, hour, day of the month, month, day of the week, with lists, ranges, steps and
/// names; or `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`. One that never
/// comes is refused.
[[nodiscard]] Parsed<Cron> parse_cron(std::string_view text);

struct CronType {
    [[nodiscard]] Parsed<Cron> parse(const Value& value) const { return parse_cron(value.text); }
    [[nodiscard]] std::string print(const Cron& cron) const { return cron.text; }
};

/// `Europe/Berlin`: one that this machine knows.
struct ZoneType {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& zone) const { return zone; }
};

/// A time; 0 is unset, and cannot be written.
struct EveryType {
    [[nodiscard]] Parsed<Milliseconds> parse(const Value& value) const;
    [[nodiscard]] std::string print(Milliseconds time) const;
};

/// Free text; empty is unset.
struct BodyText {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const { return free_text(value.text); }
    [[nodiscard]] std::string print(const std::string& text) const {
        return text.empty() ? std::string() : as_text(text);
    }
};

/// 1 to 255 printable characters, as those of a header's value.
struct PrintableText {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& text) const {
        return text.empty() ? std::string() : as_text(text);
    }
};

}  // namespace conf
