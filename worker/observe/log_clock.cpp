#include "worker/observe/log_clock.h"

#include <time.h>

#include <cstdlib>
#include <cstring>

namespace worker::observe {

namespace {

constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Fills a text of known width from left to right; `strftime` would ask the locale for names.
class Cursor {
 public:
    explicit Cursor(char* at) noexcept : at_(at) {}

    Cursor& text(std::string_view text) noexcept {
        std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
        return *this;
    }
    Cursor& digits(long number, int width) noexcept {
        for (int i = width - 1; i >= 0; --i, number /= 10) at_[i] = static_cast<char>('0' + number % 10);
        at_ += width;
        return *this;
    }

 private:
    char* at_;
};

}  // namespace

void LogClock::update(std::int64_t unix_ms) noexcept {
    const auto now = unix_ms < 0 ? 0 : static_cast<std::uint64_t>(unix_ms);
    const bool same_second = now / 1000 == unix_ms_ / 1000;
    unix_ms_ = now;
    if (!same_second) format();
}

void LogClock::format() noexcept {
    const auto seconds = static_cast<time_t>(unix_ms_ / 1000);
    tm at{};
    ::localtime_r(&seconds, &at);  // reads the zone's file once in a process; knows when summer time begins

    const long offset_minutes = std::abs(at.tm_gmtoff) / 60;
    const std::string_view sign = at.tm_gmtoff < 0 ? "-" : "+";
    const auto month = months.substr(static_cast<std::size_t>(at.tm_mon) * 3, 3);

    Cursor local(local_.data());
    local.digits(at.tm_mday, 2).text("/").text(month).text("/").digits(at.tm_year + 1900, 4);
    local.text(":").digits(at.tm_hour, 2).text(":").digits(at.tm_min, 2).text(":").digits(at.tm_sec, 2);
    local.text(" ").text(sign).digits(offset_minutes / 60, 2).digits(offset_minutes % 60, 2);

    Cursor iso(iso8601_.data());
    iso.digits(at.tm_year + 1900, 4).text("-").digits(at.tm_mon + 1, 2).text("-").digits(at.tm_mday, 2);
    iso.text("T").digits(at.tm_hour, 2).text(":").digits(at.tm_min, 2).text(":").digits(at.tm_sec, 2);
    iso.text(sign).digits(offset_minutes / 60, 2).text(":").digits(offset_minutes % 60, 2);
}

}  // namespace worker::observe
