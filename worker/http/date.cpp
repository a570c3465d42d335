#include "worker/http/date.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>

namespace worker::http {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array days{"Sun"sv, "Mon"sv, "Tue"sv, "Wed"sv, "Thu"sv, "Fri"sv, "Sat"sv};
constexpr std::array long_days{"Sunday"sv,   "Monday"sv, "Tuesday"sv, "Wednesday"sv,
                               "Thursday"sv, "Friday"sv, "Saturday"sv};
constexpr std::array months{"Jan"sv, "Feb"sv, "Mar"sv, "Apr"sv, "May"sv, "Jun"sv,
                            "Jul"sv, "Aug"sv, "Sep"sv, "Oct"sv, "Nov"sv, "Dec"sv};

constexpr std::int64_t seconds_a_day = 86'400;

/// A date as written, not yet known to exist.
struct Fields {
    int year = 0;
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

std::int64_t seconds_to(std::chrono::year_month_day date) {
    return std::chrono::sys_days(date).time_since_epoch().count() * seconds_a_day;
}

/// The only one to know the calendar: nullopt when the day or the time does not exist.
std::optional<std::int64_t> unix_seconds(const Fields& at) {
    const std::chrono::year_month_day date{std::chrono::year(at.year), std::chrono::month(at.month),
                                           std::chrono::day(at.day)};
    if (!date.ok() || at.hour > 23 || at.minute > 59 || at.second > 60) return std::nullopt;
    return seconds_to(date) + at.hour * 3'600 + at.minute * 60 + at.second;
}

/// Takes a text apart from its front; once anything does not fit, `good` stays false.
class Reader {
 public:
    explicit Reader(std::string_view text) : rest_(text) {}

    void expect(std::string_view literal) {
        if (rest_.starts_with(literal))
            rest_.remove_prefix(literal.size());
        else
            good_ = false;
    }
    unsigned digits(std::size_t count) {
        unsigned value = 0;
        if (rest_.size() < count) return fail();
        for (const char c : rest_.substr(0, count)) {
            if (c < '0' || c > '9') return fail();
            value = value * 10 + static_cast<unsigned>(c - '0');
        }
        rest_.remove_prefix(count);
        return value;
    }
    /// Which of the names stands here, from 0.
    template <std::size_t Count>
    unsigned name(const std::array<std::string_view, Count>& names) {
        for (unsigned i = 0; i < Count; ++i) {
            if (!rest_.starts_with(names[i])) continue;
            rest_.remove_prefix(names[i].size());
            return i;
        }
        return fail();
    }
    void time(Fields& at) {
        at.hour = digits(2);
        expect(":");
        at.minute = digits(2);
        expect(":");
        at.second = digits(2);
    }
    [[nodiscard]] bool at_space() const { return rest_.starts_with(' '); }
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

 private:
    unsigned fail() {
        good_ = false;
        return 0;
    }
    std::string_view rest_;
    bool good_ = true;
};

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<std::int64_t> parse_imf(std::string_view text) {
    Reader in(text);
    Fields at;
    in.name(days);
    in.expect(", ");
    at.day = in.digits(2);
    in.expect(" ");
    at.month = in.name(months) + 1;
    in.expect(" ");
    at.year = static_cast<int>(in.digits(4));
    in.expect(" ");
    in.time(at);
    in.expect(" GMT");
    return in.complete() ? unix_seconds(at) : std::nullopt;
}

/// The year that `two_digits` mean: in this century of `now` or the one that the 50 years rule leads to.
int full_year(unsigned two_digits, std::int64_t now) {
    const auto today =
        std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(now)));
    const int this_year = static_cast<int>(std::chrono::year_month_day(today).year());
    const int year = this_year - this_year % 100 + static_cast<int>(two_digits);
    if (year > this_year + 50) return year - 100;
    return year + 100 <= this_year + 50 ? year + 100 : year;
}

/// "Sunday, 06-Nov-94 08:49:37 GMT"
std::optional<std::int64_t> parse_rfc850(std::string_view text, std::int64_t now) {
    Reader in(text);
    Fields at;
    in.name(long_days);
    in.expect(", ");
    at.day = in.digits(2);
    in.expect("-");
    at.month = in.name(months) + 1;
    in.expect("-");
    at.year = full_year(in.digits(2), now);
    in.expect(" ");
    in.time(at);
    in.expect(" GMT");
    return in.complete() ? unix_seconds(at) : std::nullopt;
}

/// "Sun Nov  6 08:49:37 1994"
std::optional<std::int64_t> parse_asctime(std::string_view text) {
    Reader in(text);
    Fields at;
    in.name(days);
    in.expect(" ");
    at.month = in.name(months) + 1;
    in.expect(" ");
    if (in.at_space()) {
        in.expect(" ");
        at.day = in.digits(1);
    } else {
        at.day = in.digits(2);
    }
    in.expect(" ");
    in.time(at);
    in.expect(" ");
    at.year = static_cast<int>(in.digits(4));
    return in.complete() ? unix_seconds(at) : std::nullopt;
}

void put_digits(char* out, unsigned value, std::size_t count) {
    for (std::size_t i = count; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) {
    if (text.size() < 24) return std::nullopt;
    if (text[3] == ',') return parse_imf(text);
    if (text[3] == ' ') return parse_asctime(text);
    return parse_rfc850(text, now);
}

std::optional<std::int64_t> parse_date(std::string_view text) { return parse_date(text, std::time(nullptr)); }

void format_date(std::int64_t unix_seconds, char (&out)[29]) {
    using namespace std::chrono;
    static constexpr std::int64_t earliest =
        sys_days(year(0) / 1 / 1).time_since_epoch().count() * seconds_a_day;
    static constexpr std::int64_t latest =
        sys_days(year(10'000) / 1 / 1).time_since_epoch().count() * seconds_a_day - 1;
    const sys_seconds at(seconds(std::clamp(unix_seconds, earliest, latest)));
    const sys_days day = floor<std::chrono::days>(at);
    const year_month_day date(day);
    const auto second = static_cast<unsigned>((at - day).count());

    std::memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", sizeof out);
    std::memcpy(out, http::days[weekday(day).c_encoding()].data(), 3);
    put_digits(out + 5, static_cast<unsigned>(date.day()), 2);
    std::memcpy(out + 8, months[static_cast<unsigned>(date.month()) - 1].data(), 3);
    put_digits(out + 12, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put_digits(out + 17, second / 3'600, 2);
    put_digits(out + 20, second / 60 % 60, 2);
    put_digits(out + 23, second % 60, 2);
}

}  // namespace worker::http
