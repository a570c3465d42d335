// conf/queue_types.cpp: where jobs are kept, where they go, how long they wait.
#include "conf/queue_types.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "conf/callbacks.h"
#include "conf/ini_file.h"
#include "conf/postgres_url.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

constexpr std::string_view sqlite_scheme = "sqlite:", range = "..";
constexpr std::size_t token_bytes_min = 16, token_bytes_max = 256;
constexpr Milliseconds backoff_least{1}, backoff_most{std::chrono::hours(24 * 30)};
constexpr std::uint64_t jobs_most = 1'000'000'000, bytes_most = 1024ull << 30;

/// An address in network order, and how many of its bits count.
struct Network {
    int family = AF_UNSPEC;
    std::array<unsigned char, 16> bytes{};
    unsigned bits = 0;
};

unsigned bits_of(int family) noexcept { return family == AF_INET ? 32 : 128; }

/// An IPv4 address that is written as IPv6, `::ffff:10.0.0.1`, is the IPv4 address.
void unmap(Network& network) noexcept {
    constexpr std::array<unsigned char, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (network.family != AF_INET6 || network.bits < 96 ||
        !std::equal(mapped.begin(), mapped.end(), network.bytes.begin()))
        return;
    std::copy(network.bytes.begin() + 12, network.bytes.end(), network.bytes.begin());
    network.family = AF_INET;
    network.bits -= 96;
}

std::optional<Network> parse_network(std::string_view text) noexcept {
    const auto slash = text.find('/');
    const auto host = text.substr(0, slash);
    char terminated[64] = {};
    if (host.size() >= sizeof terminated) return std::nullopt;
    host.copy(terminated, host.size());
    Network network;
    for (const int family : {AF_INET, AF_INET6})
        if (::inet_pton(family, terminated, network.bytes.data()) == 1) network.family = family;
    if (network.family == AF_UNSPEC) return std::nullopt;
    network.bits = bits_of(network.family);
    if (slash != std::string_view::npos) {
        const auto bits = text.substr(slash + 1);
        unsigned number = 0;
        const auto [end, failure] = std::from_chars(bits.data(), bits.data() + bits.size(), number);
        if (failure != std::errc() || end != bits.data() + bits.size() || number > network.bits)
            return std::nullopt;
        network.bits = number;
    }
    unmap(network);
    return network;
}

bool is_token68(std::string_view text) {
    const auto end = text.find_last_not_of('=');
    return end != std::string_view::npos &&
           std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end) + 1, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("-._~+/").find(c) != std::string_view::npos;
           });
}

}  // namespace

std::string Store::path() const {
    return url.starts_with(sqlite_scheme) ? url.substr(sqlite_scheme.size()) : std::string();
}

bool is_in_network(std::string_view address, std::string_view network) noexcept {
    if (network == everybody) return true;
    const auto host = parse_network(address);
    const auto around = parse_network(network);
    if (!host || !around || host->family != around->family) return false;
    const std::size_t whole = around->bits / 8;
    if (!std::equal(host->bytes.begin(), host->bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                    around->bytes.begin()))
        return false;
    const unsigned rest = around->bits % 8;
    return rest == 0 || ((host->bytes.at(whole) ^ around->bytes.at(whole)) >> (8 - rest)) == 0;
}

bool Store::shared() const noexcept { return is_postgres_url(url); }

Parsed<std::string> StoreUrl::parse(const Value& value) const {
    const auto word = only_word(value.text, "URL");
    if (!word) return word;
    if (is_postgres_url(*word)) return postgres_url(*word);
    if (!word->starts_with(sqlite_scheme))
        return tl::unexpected(fmt::format("{} is not a store: sqlite:PATH, or postgresql://HOST/DATABASE",
                                          shown(without_password(*word))));
    auto path = absolute_path(std::string_view(*word).substr(sqlite_scheme.size()), value.folder);
    if (!path) return path;
    if (*path == "/") return tl::unexpected<std::string>("is a folder, and a file is wanted");
    return std::string(sqlite_scheme) + *path;
}

Parsed<QueueUpstream> QueueUpstreamType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    if (words->size() != 2 || !(*words)[1].text.starts_with('/'))
        return tl::unexpected<std::string>("an upstream and a path are wanted: NAME /path");
    QueueUpstream upstream{(*words)[0].text, (*words)[1].text};
    if (!is_name(upstream.name))
        return tl::unexpected(fmt::format("{} is not the name of a section", shown(upstream.name)));
    if (upstream.path.find_first_of("# \"<>\\^`{|}") != std::string::npos ||
        has_control_character(upstream.path))
        return tl::unexpected(
            fmt::format("{} is not a path as it stands in a request", shown(upstream.path)));
    return upstream;
}

std::string QueueUpstreamType::print(const QueueUpstream& upstream) const {
    return upstream.name.empty() ? std::string() : upstream.name + " " + as_word(upstream.path);
}

Parsed<BackOff> BackOffType::parse(const Value& value) const {
    const auto dots = value.text.find(range);
    const auto min = parse_time(trimmed(value.text.substr(0, dots)), backoff_least, backoff_most);
    if (!min) return tl::unexpected(min.error());
    if (dots == std::string_view::npos) return BackOff{*min, *min};
    const auto max = parse_time(trimmed(value.text.substr(dots + range.size())), backoff_least, backoff_most);
    if (!max) return tl::unexpected(max.error());
    if (*min > *max)
        return tl::unexpected(fmt::format("{} is longer than {}: the shorter time stands first",
                                          print_time(*min), print_time(*max)));
    return BackOff{*min, *max};
}

std::string BackOffType::print(const BackOff& backoff) const {
    return print_time(backoff.min) + std::string(range) + print_time(backoff.max);
}

Parsed<QueueSize> QueueSizeType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    if (words->empty() || words->size() > 2)
        return tl::unexpected<std::string>("a number of jobs and a size are wanted: 100000 1g");
    QueueSize size;
    const auto jobs = parse_number((*words)[0].text, 1, jobs_most);
    if (!jobs) return tl::unexpected(jobs.error());
    size.jobs = *jobs;
    if (words->size() == 1) return size;
    const auto bytes = parse_size((*words)[1].text, 1, bytes_most);
    if (!bytes) return tl::unexpected(bytes.error());
    size.bytes = *bytes;
    return size;
}

std::string QueueSizeType::print(const QueueSize& size) const {
    return fmt::format("{} {}", size.jobs, print_size(size.bytes));
}

Parsed<std::int32_t> PriorityType::parse(const Value& value) const {
    const bool negative = value.text.starts_with('-');
    const auto number = parse_number(value.text.substr(negative ? 1 : 0), 0, job_priority_max);
    if (!number)
        return tl::unexpected(fmt::format("{} is not a number, -{} to {}", shown(value.text),
                                          job_priority_max, job_priority_max));
    const auto size = static_cast<std::int32_t>(*number);
    return negative ? -size : size;
}

Parsed<std::string> BearerToken::parse(const Value& value) const {
    auto word = only_word(value.text, "token");
    if (!word) return word;
    if (*word == hidden_secret)
        return tl::unexpected(
            fmt::format("{} stands for one that was not shown; put the real one here", hidden_secret));
    if (!is_token68(*word))
        return tl::unexpected<std::string>(
            "is not a bearer token: letters, digits, `-._~+/`, and `=` at its end (RFC 6750)");
    if (word->size() < token_bytes_min || word->size() > token_bytes_max)
        return tl::unexpected(fmt::format("has {} bytes, and may have {} to {}", word->size(),
                                          token_bytes_min, token_bytes_max));
    return word;
}

std::string BearerToken::print(const std::string& token) const {
    return token.empty() ? std::string() : as_word(token);
}

Parsed<std::vector<std::string>> CallbackUrls::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<std::string> all;
    all.reserve(words->size());
    for (const auto& word : *words) {
        const auto url = parse_callback_url(word.text);
        if (!url) return tl::unexpected(fmt::format("{}: {}", shown(word.text), url.error()));
        if (url->target.find('?') != std::string::npos)
            return tl::unexpected(
                fmt::format("{}: how URLs begin is wanted, and a query is their end", shown(word.text)));
        all.push_back(url->text());
    }
    return all;
}

Parsed<std::string> SigningSecret::parse(const Value& value) const {
    auto word = only_word(value.text, "secret");
    if (!word) return word;
    if (*word == hidden_secret)
        return tl::unexpected(
            fmt::format("{} stands for one that was not shown; put the real one here", hidden_secret));
    if (word->size() < token_bytes_min || word->size() > token_bytes_max ||
        !std::all_of(word->begin(), word->end(), [](char c) { return c > ' ' && c <= '~'; }))
        return tl::unexpected(fmt::format("a secret of {} to {} printable characters is wanted",
                                          token_bytes_min, token_bytes_max));
    return word;
}

std::string SigningSecret::print(const std::string& secret) const {
    return secret.empty() ? std::string() : as_word(secret);
}

Parsed<std::vector<std::string>> Networks::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<std::string> all;
    all.reserve(words->size());
    for (const auto& word : *words) {
        if (word.text != everybody && !parse_network(word.text))
            return tl::unexpected(fmt::format(
                "{} is neither an address nor a network, nor all: 10.0.0.0/8, ::1", shown(word.text)));
        all.push_back(word.text);
    }
    return all;
}

}  // namespace conf
