#include "worker/handler/job_request.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "conf/callbacks.h"
#include "conf/units.h"
#include "ipc/keyed_hash.h"
#include "worker/http/date.h"
#include "worker/http/host.h"
#include "worker/jobs/store.h"

namespace worker::handler {
namespace {

using Wrong = tl::unexpected<std::string>;

/// The field's value, which may stand once.
tl::expected<std::optional<std::string_view>, std::string> only(const http::Request& request,
                                                                std::string_view name) {
    std::optional<std::string_view> found;
    for (const auto& field : request.fields) {
        if (!http::equals_ignore_case(request.view(field.name), name)) continue;
        if (found) return Wrong(fmt::format("{} stands twice", name));
        found = request.view(field.value);
    }
    return found;
}

bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// A text of a few bytes; empty: it is not there.
tl::expected<std::string, std::string> plain(const http::Request& request, std::string_view name,
                                             std::size_t bytes_max) {
    const auto found = only(request, name);
    if (!found) return Wrong(found.error());
    if (!*found) return std::string();
    if (!is_job_text(**found, bytes_max))
        return Wrong(fmt::format("{} takes 1 to {} printable characters", name, bytes_max));
    return std::string(**found);
}

tl::expected<std::optional<std::int64_t>, std::string> number(const http::Request& request,
                                                              std::string_view name, std::int64_t min,
                                                              std::int64_t max) {
    const auto found = only(request, name);
    if (!found) return Wrong(found.error());
    if (!*found) return std::optional<std::int64_t>();
    std::int64_t value = 0;
    const auto text = **found;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || value < min || value > max)
        return Wrong(fmt::format("{} takes a number, {} to {}", name, min, max));
    return std::optional(value);
}

tl::expected<jobs::UnixMs, std::string> run_at(const http::Request& request, jobs::UnixMs now) {
    const auto delay = only(request, "Job-Delay"), moment = only(request, "Job-Run-At");
    if (!delay) return Wrong(delay.error());
    if (!moment) return Wrong(moment.error());
    if (*delay && *moment) return Wrong("Job-Delay and Job-Run-At exclude each other");
    if (*delay) {
        const auto time = conf::parse_time(**delay, std::chrono::milliseconds(0), job_delay_max);
        if (!time) return Wrong("Job-Delay takes a time: seconds, or with ms, s, m, h, d");
        return time->count() == 0 ? 0 : now + time->count();
    }
    if (!*moment) return 0;
    const auto at = parse_moment(**moment);
    if (!at || *at > now + job_delay_max.count())
        return Wrong(
            "Job-Run-At takes a moment within ten years: RFC 3339, an HTTP date, or seconds since 1970");
    return *at <= now ? 0 : *at;
}

/// Digits at `at`, so many; moves on.
std::optional<int> digits(std::string_view text, std::size_t& at, std::size_t count) {
    if (at + count > text.size()) return std::nullopt;
    int value = 0;
    for (std::size_t end = at + count; at < end; ++at) {
        if (text[at] < '0' || text[at] > '9') return std::nullopt;
        value = value * 10 + (text[at] - '0');
    }
    return value;
}

std::optional<jobs::UnixMs> parse_rfc3339(std::string_view text) {
    std::size_t at = 0;
    const auto part = [&](std::size_t count, std::string_view before) -> std::optional<int> {
        if (!before.empty() && (at >= text.size() || before.find(text[at++]) == std::string_view::npos))
            return std::nullopt;
        return digits(text, at, count);
    };
    const auto year = part(4, ""), month = part(2, "-"), day = part(2, "-"), hour = part(2, "Tt "),
               minute = part(2, ":"), second = part(2, ":");
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    const auto date = std::chrono::year(*year) / *month / *day;
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    jobs::UnixMs ms = 0;
    if (at < text.size() && text[at] == '.') {
        const auto begin = ++at;
        jobs::UnixMs scale = 100;
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
            ms += scale * (text[at] - '0');
        if (at == begin) return std::nullopt;
    }
    jobs::UnixMs offset = 0;
    if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
        ++at;
    } else {
        if (at >= text.size() || (text[at] != '+' && text[at] != '-')) return std::nullopt;
        const bool west = text[at++] == '-';
        const auto hours = digits(text, at, 2), minutes = part(2, ":");
        if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
        offset = (*hours * 60 + *minutes) * (west ? -60'000 : 60'000);
    }
    if (at != text.size()) return std::nullopt;
    const auto days = std::chrono::sys_days(date).time_since_epoch().count();
    return ((jobs::UnixMs{days} * 24 + *hour) * 60 + *minute) * 60'000 + *second * 1000 + ms - offset;
}

}  // namespace

bool is_job_text(std::string_view text, std::size_t bytes_max) noexcept {
    return !text.empty() && text.size() <= bytes_max && is_plain(text);
}

tl::expected<jobs::NewJob, std::string> read_job_fields(const http::Request& request,
                                                        const conf::Queue& queue, jobs::UnixMs now) {
    jobs::NewJob job;
    const auto type = request.value(http::Known::content_type);
    if (type.size() > job_type_max) return Wrong("Content-Type is too long");
    job.content_type = type;
    job.trace = request.value(http::Known::traceparent).substr(0, job_type_max);
    const auto at = run_at(request, now);
    if (!at) return Wrong(at.error());
    job.run_at = *at;
    const auto priority = number(request, "Job-Priority", -conf::job_priority_max, conf::job_priority_max);
    if (!priority) return Wrong(priority.error());
    job.priority = static_cast<std::int32_t>(priority->value_or(queue.priority));
    const auto attempts = number(request, "Job-Attempts", 1, job_attempts_max);
    if (!attempts) return Wrong(attempts.error());
    job.attempts = static_cast<std::uint32_t>(attempts->value_or(queue.attempts));
    auto key = plain(request, "Job-Key", job_key_max);
    if (!key) return Wrong(key.error());
    job.key = std::move(*key);
    auto unique = plain(request, "Job-Unique", job_key_max);
    if (!unique) return Wrong(unique.error());
    job.unique = std::move(*unique);
    auto callback = plain(request, "Job-Callback", job_callback_max);
    if (!callback) return Wrong(callback.error());
    if (!callback->empty()) {
        const auto url = conf::callback_url(queue.callbacks, *callback);
        if (!url) return Wrong("Job-Callback: " + url.error());
    }
    job.callback = std::move(*callback);
    return job;
}

tl::expected<std::string, std::string> read_idempotency_key(const http::Request& request,
                                                            const conf::Queue& queue) {
    const auto found = only(request, "Idempotency-Key");
    if (!found) return Wrong(found.error());
    if (!*found) {
        if (queue.idempotency_required) return Wrong("this queue wants an Idempotency-Key");
        return std::string();
    }
    const auto wrong = Wrong(
        fmt::format("Idempotency-Key takes a string in double quotes of 1 to {} characters (RFC 8941 3.3.3)",
                    job_key_max));
    const auto text = **found;
    if (text.size() < 2 || text.front() != '"' || !is_plain(text)) return wrong;
    std::string key;
    std::size_t at = 1;
    for (; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && (++at >= text.size() || (text[at] != '"' && text[at] != '\\'))) return wrong;
        key += text[at];
    }
    if (at >= text.size() || key.empty() || key.size() > job_key_max) return wrong;
    const auto rest = text.substr(at + 1);  // parameters mean nothing to us
    if (!rest.empty() && rest.front() != ';') return wrong;
    return key;
}

namespace {

std::string fingerprint_of_text(const jobs::NewJob& job, std::string text) {
    // Two hashes of 64 bits under keys that everybody knows: whoever makes two requests of his own collide
    // cheats himself.
    for (const std::string_view part : {std::string_view(job.content_type), std::string_view(job.key),
                                        std::string_view(job.unique), std::string_view(job.callback)})
        text.append(part).push_back('\0');
    text.append(fmt::format("{} {}", job.priority, job.attempts)).push_back('\0');
    text += job.body;
    return fmt::format("{:016x}{:016x}", ipc::siphash({0x6a6f6273, 1}, text),
                       ipc::siphash({0x6a6f6273, 2}, text));
}

}  // namespace

std::string fingerprint_of(const jobs::NewJob& job) { return fingerprint_of_text(job, {}); }

std::string fingerprint_of(const jobs::NewJob& job, const http::Request& request) {
    std::string text = fmt::format("{} {}{}", request.method(), request.raw_target(), '\0');
    // Whose it is: what one client is answered is not told to another who has the same key.
    text.append(!request.target.authority.empty() ? request.target.authority
                                                  : request.value(http::Known::host));
    text.push_back('\0');
    for (const http::Field& field : request.fields) {
        const auto name = request.view(field.name);
        if (!http::equals_ignore_case(name, "authorization") && !http::equals_ignore_case(name, "cookie"))
            continue;
        text.append(name.size() == 6 ? "c" : "a").append(request.view(field.value)).push_back('\0');
    }
    return fingerprint_of_text(job, std::move(text));
}

std::optional<jobs::UnixMs> parse_moment(std::string_view text) {
    constexpr std::int64_t seconds_max = 253'402'300'799;  // the year 9999
    if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        std::int64_t seconds = 0;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (failure != std::errc() || end != text.data() + text.size() || seconds > seconds_max)
            return std::nullopt;
        return seconds * 1000;
    }
    if (const auto date = http::parse_date(text)) return *date * 1000;
    return parse_rfc3339(text);
}

std::string_view public_reason(std::string_view why) noexcept {
    return why.starts_with(jobs::private_error) ? "the database cannot be had" : why;
}

}  // namespace worker::handler
