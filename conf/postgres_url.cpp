#include "conf/postgres_url.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace conf {
namespace {

using Range = std::pair<std::size_t, std::size_t>;  // from, to

constexpr std::array<std::string_view, 2> postgres_schemes{"postgresql://", "postgres://"};
constexpr std::array<std::string_view, 3> reserved_options{"client_encoding", "replication",
                                                           "fallback_application_name"};

/// Where the passwords are. A parameter whose name is written in percents might be one.
std::vector<Range> passwords_of(std::string_view url) {
    std::vector<Range> found;
    const auto slashes = url.find("//");
    const auto begin = slashes == std::string_view::npos ? 0 : slashes + 2;
    const auto query = std::min(url.find('?', begin), url.size());
    const auto at = url.substr(0, query).rfind('@');
    if (at != std::string_view::npos && at >= begin) {
        const auto colon = url.find(':', begin);
        if (colon < at) found.emplace_back(colon + 1, at);
    }
    for (auto from = query; from < url.size();) {
        const auto to = std::min(url.find('&', from + 1), url.size());
        const auto equals = url.find('=', from);
        if (equals < to) {
            const auto name = url.substr(from + 1, equals - from - 1);
            if (name.find("password") != std::string_view::npos || name.find('%') != std::string_view::npos)
                found.emplace_back(equals + 1, to);
        }
        from = to;
    }
    std::erase_if(found, [](const Range& range) { return range.first == range.second; });
    return found;
}

/// libpq finds out when it connects. One for each host, or one for all; none is the usual one.
bool are_ports(std::string_view list) {
    for (;;) {
        const auto comma = std::min(list.find(','), list.size());
        const auto one = list.substr(0, comma);
        unsigned number = 1;
        const auto [end, failure] = std::from_chars(one.data(), one.data() + one.size(), number);
        if (!one.empty() && (failure != std::errc() || end != one.data() + one.size())) return false;
        if (number < 1 || number > 65535) return false;
        if (comma == list.size()) return true;
        list.remove_prefix(comma + 1);
    }
}

struct FreeOptions {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

/// Those that are said, or why it is not understood.
Parsed<std::map<std::string, std::string>> options_of(const std::string& url) {
    char* complaint = nullptr;
    const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(url.c_str(), &complaint));
    if (!options) {
        std::string why = complaint == nullptr ? "no memory" : complaint;
        PQfreemem(complaint);
        while (!why.empty() && why.back() == '\n') why.pop_back();
        // what is wrong may be the password, or be quoted with it
        if (!passwords_of(url).empty()) why = "it is not understood (passwords are written in percents)";
        return tl::unexpected(std::move(why));
    }
    std::map<std::string, std::string> said;
    for (const auto* option = options.get(); option->keyword != nullptr; ++option)
        if (option->val != nullptr) said.emplace(option->keyword, option->val);
    return said;
}

}  // namespace

bool is_postgres_url(std::string_view url) noexcept {
    return std::any_of(postgres_schemes.begin(), postgres_schemes.end(),
                       [&](std::string_view scheme) { return url.starts_with(scheme); });
}

Parsed<std::string> postgres_url(std::string_view url) {
    std::string text(url);
    const auto options = options_of(text);
    if (!options)
        return tl::unexpected(fmt::format("{} is not the URL of a database: {}", shown(without_password(url)),
                                          options.error()));
    for (const auto name : reserved_options)
        if (options->contains(std::string(name)))
            return tl::unexpected(fmt::format("{} is not for the URL to say", name));
    if (const auto port = options->find("port"); port != options->end() && !are_ports(port->second))
        return tl::unexpected(fmt::format("{}: a port is a number from 1 to 65535", shown(port->second)));
    return text;
}

bool has_password(std::string_view url) { return is_postgres_url(url) && !passwords_of(url).empty(); }

std::string without_password(std::string_view url, std::string_view instead) {
    std::string text(url);
    const auto found = passwords_of(url);
    for (auto range = found.rbegin(); range != found.rend(); ++range)
        text.replace(range->first, range->second - range->first, instead);
    return text;
}

bool trusts_the_network(const std::string& url) {
    const auto options = options_of(url);
    if (!options) return false;
    const auto value = [&](const char* name) {
        const auto found = options->find(name);
        return found == options->end() ? std::string() : found->second;
    };
    const auto host = value("hostaddr").empty() ? value("host") : value("hostaddr");
    if (host.empty() || host.starts_with('/') || host.starts_with('@') || host == "localhost" ||
        host == "::1" || host.starts_with("127."))
        return false;
    const auto mode = value("sslmode");
    return mode != "require" && mode != "verify-ca" && mode != "verify-full";
}

}  // namespace conf
