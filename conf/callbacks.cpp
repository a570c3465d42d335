// conf/callbacks.cpp: URLs that may be told of the ends of jobs.
#include "conf/callbacks.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "conf/config.h"

namespace conf {
namespace {

using WrongUrl = tl::unexpected<std::string>;

constexpr std::string_view callbacks_suffix = ":callbacks";
constexpr std::string_view http_scheme = "http://", https_scheme = "https://";
constexpr std::size_t url_bytes_most = 2048;

char small(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_hex(char c) noexcept { return (c >= '0' && c <= '9') || (small(c) >= 'a' && small(c) <= 'f'); }

bool begins_with_scheme(std::string_view url, std::string_view scheme) noexcept {
    return url.size() >= scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), url.begin(),
                      [](char wanted, char given) { return wanted == small(given); });
}

bool may_stand_in_url(char c) noexcept {
    return c > ' ' && c <= '~' && std::string_view("\"#<>\\^`{|}").find(c) == std::string_view::npos;
}

/// A name or an address, in lower case; `[` and `]` around one of IPv6.
bool is_url_host(std::string_view host) noexcept {
    const bool six = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (six) host = host.substr(1, host.size() - 2);
    return !host.empty() && std::all_of(host.begin(), host.end(), [six](char c) {
        if (six) return is_hex(c) || c == ':' || c == '.';
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

/// Empty: it is none.
std::string clean_authority(std::string_view text) {
    std::string all(text);
    std::transform(all.begin(), all.end(), all.begin(), small);
    const auto bracket = all.rfind(']');
    const auto colon = all.find(':', bracket == std::string::npos ? 0 : bracket);
    const auto host = all.substr(0, colon);
    if (!is_url_host(host)) return {};
    if (colon == std::string::npos) return host;
    const auto port = std::string_view(all).substr(colon + 1);
    unsigned number = 0;
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (failure != std::errc() || end != port.data() + port.size() || number == 0 || number > 65'535)
        return {};
    return number == 80 ? host : fmt::format("{}:{}", host, number);
}

/// Escapes are whole; what is escaped is neither a slash nor a backslash, and no segment leads elsewhere.
bool stays_where_it_is(std::string_view path) {
    std::string segment;
    for (std::size_t at = 0; at <= path.size(); ++at) {
        if (at == path.size() || path[at] == '/') {
            segment.resize(std::min(segment.find(';'), segment.size()));  // some take `..;x` for `..`
            if (segment == "." || segment == "..") return false;
            segment.clear();
            continue;
        }
        if (path[at] != '%') {
            segment += path[at];
            continue;
        }
        if (at + 2 >= path.size() || !is_hex(path[at + 1]) || !is_hex(path[at + 2])) return false;
        unsigned byte = 0;
        std::from_chars(path.data() + at + 1, path.data() + at + 3, byte, 16);
        if (byte == '/' || byte == '\\' || byte < ' ' || byte == 0x7f) return false;
        segment += static_cast<char>(byte);
        at += 2;
    }
    return true;
}

std::string_view path_of(std::string_view target) noexcept { return target.substr(0, target.find('?')); }

/// `/jobs` has `/jobs` and `/jobs/17` below it, and not `/jobsite`.
bool is_below(std::string_view path, std::string_view around) noexcept {
    if (!path.starts_with(around)) return false;
    return path.size() == around.size() || around.ends_with('/') || path[around.size()] == '/';
}

}  // namespace

tl::expected<CallbackUrl, std::string> parse_callback_url(std::string_view url) {
    if (begins_with_scheme(url, https_scheme))
        return WrongUrl("https cannot be spoken yet to who is told; http://HOST/path can");
    if (!begins_with_scheme(url, http_scheme) || url.size() > url_bytes_most ||
        !std::all_of(url.begin(), url.end(), may_stand_in_url))
        return WrongUrl("a URL is wanted: http://HOST/path");
    url.remove_prefix(http_scheme.size());
    const auto end = std::min(url.find_first_of("/?"), url.size());
    CallbackUrl parsed{clean_authority(url.substr(0, end)), std::string(url.substr(end))};
    if (parsed.authority.empty())
        return WrongUrl("a host is wanted, and maybe a port: http://HOST:8080/path");
    if (!parsed.target.starts_with('/')) parsed.target.insert(0, 1, '/');
    if (!stays_where_it_is(path_of(parsed.target)))
        return WrongUrl(
            "its path may have neither `.` nor `..`, nor escapes that make such, slashes or none");
    return parsed;
}

tl::expected<CallbackUrl, std::string> callback_url(const QueueCallbacks& callbacks, std::string_view url) {
    if (callbacks.urls.empty()) return WrongUrl("this queue tells nobody of the ends of its jobs");
    auto wanted = parse_callback_url(url);
    if (!wanted) return wanted;
    for (const auto& text : callbacks.urls) {
        const auto allowed = parse_callback_url(text);
        if (allowed && allowed->authority == wanted->authority &&
            is_below(path_of(wanted->target), allowed->target))
            return wanted;
    }
    return WrongUrl("this URL is not among those that this queue may tell");
}

std::string callbacks_queue_of(std::string_view queue) { return std::string(queue).append(callbacks_suffix); }

bool is_callbacks_queue(std::string_view name) noexcept { return name.ends_with(callbacks_suffix); }

void add_callbacks_queues(Config& config) {
    std::vector<Queue> made;
    made.reserve(config.queues.size());
    for (const auto& queue : config.queues) {
        if (queue.callbacks.urls.empty() || queue.internal) continue;
        Queue& telling = made.emplace_back();
        telling.name = callbacks_queue_of(queue.name);
        telling.internal = true;
        telling.callbacks = queue.callbacks;
        telling.upstream = {queue.callbacks.upstream, "/"};
        telling.attempts = queue.callbacks.attempts;
        telling.backoff = queue.callbacks.backoff;
        telling.timeout = queue.callbacks.timeout;
        telling.concurrency = queue.callbacks.concurrency;
        telling.retention = queue.retention;
        telling.dead_retention = queue.dead_retention;
        telling.size_max = queue.size_max;
        telling.result_max = 1024;
    }
    for (auto& queue : made) config.queues.push_back(std::move(queue));
}

}  // namespace conf
