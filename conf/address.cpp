#include "conf/address.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "conf/nearest.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

constexpr std::string_view unix_prefix = "unix:";

/// The shortest way to write a numeric address of `family`; empty when it is none.
std::string canonical(int family, const std::string& host) {
    in6_addr address{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (::inet_pton(family, host.c_str(), &address) != 1) return {};
    return ::inet_ntop(family, &address, text.data(), text.size());
}

Parsed<Address> parse_unix(std::string_view text, std::string_view folder) {
    auto path = absolute_path(text, folder);
    if (!path) return tl::unexpected(path.error());
    if (path->size() > socket_path_bytes_max)
        return tl::unexpected(fmt::format("{} is longer than the {} bytes of a socket's path", shown(*path),
                                          socket_path_bytes_max));
    return Address{Address::Family::unix_path, std::move(*path), 0};
}

Parsed<Address> parse_host(std::string_view host) {
    if (host == "*") return Address{Address::Family::ipv4, "0.0.0.0", 0};
    if (host == "localhost") return Address{Address::Family::ipv4, "127.0.0.1", 0};
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const auto family = brackets ? Address::Family::ipv6 : Address::Family::ipv4;
    auto numeric = brackets ? canonical(AF_INET6, std::string(host.substr(1, host.size() - 2)))
                            : canonical(AF_INET, std::string(host));
    if (numeric.empty())
        return tl::unexpected(
            fmt::format("{} is not a numeric address: 127.0.0.1, [::1], * or localhost", shown(host)));
    return Address{family, std::move(numeric), 0};
}

Parsed<void> read_option(std::string_view option, Listen& listen) {
    static constexpr std::string_view known[] = {"backlog=N", "default"};
    static constexpr std::string_view later[] = {"tls", "http2", "proxy"};
    constexpr std::string_view backlog = "backlog=";
    if (option == "default") {
        listen.fallback = true;
        return {};
    }
    if (option.starts_with(backlog)) {
        const auto number = parse_number(option.substr(backlog.size()), 1, 65'535);
        if (!number) return tl::unexpected("backlog: " + number.error());
        listen.backlog = static_cast<std::uint32_t>(*number);
        return {};
    }
    if (std::find(std::begin(later), std::end(later), option) != std::end(later))
        return tl::unexpected(fmt::format("option `{}` is not supported by this version", option));
    return tl::unexpected(fmt::format("unknown option {}{}", shown(option), hint(option, known)));
}

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/// A host name in lower case and without the dot of the root, or an address as it stands in `Host`.
Parsed<std::string> parse_host_name(std::string_view text) {
    constexpr std::size_t host_bytes_max = 253;
    auto host = lower_case(text);
    const auto wrong = [&] {
        return tl::unexpected(
            fmt::format("{} is not a host name: example.org, *.example.org, example.*", shown(text)));
    };
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        const auto address = canonical(AF_INET6, host.substr(1, host.size() - 2));
        if (address.empty()) return wrong();
        return fmt::format("[{}]", address);
    }
    if (host.ends_with('.')) host.pop_back();
    std::string_view plain = host;
    if (plain.starts_with("*."))
        plain.remove_prefix(2);
    else if (plain.ends_with(".*"))
        plain.remove_suffix(2);
    if (plain.empty() || plain.size() > host_bytes_max || plain.front() == '.' || plain.back() == '.' ||
        plain.find("..") != std::string_view::npos ||
        !std::all_of(plain.begin(), plain.end(), is_host_character))
        return wrong();
    return host;
}

}  // namespace

std::string Address::text() const {
    switch (family) {
        case Family::ipv4: return fmt::format("{}:{}", host, port);
        case Family::ipv6: return fmt::format("[{}]:{}", host, port);
        case Family::unix_path: return fmt::format("{}{}", unix_prefix, host);
    }
    std::abort();
}

Parsed<Address> parse_address(std::string_view text, std::string_view folder) {
    if (text.starts_with(unix_prefix)) return parse_unix(text.substr(unix_prefix.size()), folder);
    const auto colon = text.rfind(':');
    const bool only_port = colon == std::string_view::npos;
    if (only_port && text.find_first_not_of("0123456789") != std::string_view::npos)
        return tl::unexpected(fmt::format("{} names no port: HOST:PORT, PORT or unix:PATH", shown(text)));
    auto address = parse_host(only_port ? std::string_view("*") : text.substr(0, colon));
    if (!address) return address;
    const auto port = parse_number(text.substr(only_port ? 0 : colon + 1), 1, 65'535);
    if (!port) return tl::unexpected("port " + port.error());
    address->port = static_cast<std::uint16_t>(*port);
    return address;
}

Parsed<std::vector<Listen>> ListenType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    auto address = parse_address(words->at(0).text, value.folder);
    if (!address) return tl::unexpected(address.error());
    Listen listen{std::move(*address)};
    for (auto word = words->begin() + 1; word != words->end(); ++word)
        if (auto read = read_option(word->text, listen); !read)
            return tl::unexpected(std::move(read.error()));
    return std::vector{std::move(listen)};
}

std::string ListenType::print(const Listen& listen) const {
    return fmt::format("{} backlog={}{}", as_word(listen.address.text()), listen.backlog,
                       listen.fallback ? " default" : "");
}

Parsed<std::vector<std::string>> HostNames::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<std::string> hosts;
    for (const auto& word : *words) {
        auto host = parse_host_name(word.text);
        if (!host) return tl::unexpected(host.error());
        hosts.push_back(std::move(*host));
    }
    return hosts;
}

}  // namespace conf
