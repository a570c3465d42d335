#include "conf/upstream_types.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "conf/address.h"
#include "conf/http_types.h"
#include "conf/ini_file.h"
#include "conf/nearest.h"
#include "conf/text_variables.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

constexpr std::array<std::pair<std::string_view, Balance::How>, 4> ways{{
    {"round_robin", Balance::How::round_robin},
    {"least_conn", Balance::How::least_conn},
    {"random_two", Balance::How::random_two},
    {"hash", Balance::How::hash},
}};

/// `name=N` read into `into`; nothing when the option has another name.
template <class Integer>
Parsed<bool> read_number(std::string_view option, std::string_view name, std::uint64_t min, std::uint64_t max,
                         Integer& into) {
    if (!option.starts_with(name) || option.substr(name.size(), 1) != "=") return false;
    const auto number = parse_number(option.substr(name.size() + 1), min, max);
    if (!number) return tl::unexpected(fmt::format("{}: {}", name, number.error()));
    into = static_cast<Integer>(*number);
    return true;
}

Parsed<void> read_option(std::string_view option, UpstreamPeer& peer) {
    static constexpr std::string_view known[] = {"weight=N", "backup", "down", "max_conns=N", "peers_max=N"};
    if (option == "backup" || option == "down") {
        (option == "backup" ? peer.backup : peer.down) = true;
        return {};
    }
    for (const auto& read : {read_number(option, "weight", 1, 65'535, peer.weight),
                             read_number(option, "max_conns", 0, 1'000'000, peer.max_conns),
                             read_number(option, "peers_max", 1, 64, peer.peers_max)}) {
        if (!read) return tl::unexpected(read.error());
        if (*read && option.starts_with("peers_max") && !peer.is_name())
            return tl::unexpected(fmt::format("peers_max: {} is no name, and has one address", peer.text()));
        if (*read) return {};
    }
    return tl::unexpected(fmt::format("unknown option {}{}", shown(option), hint(option, known)));
}

/// RFC 1035 2.3.1, and `_` as services and some networks have it. Its last label is no number, so that a
/// mistyped address is no name.
bool is_dns_name(std::string_view text) {
    constexpr std::size_t name_bytes_max = 253, label_bytes_max = 63;
    if (text.empty() || text.size() > name_bytes_max) return false;
    std::string_view label;
    for (std::size_t begin = 0; begin <= text.size(); begin += label.size() + 1) {
        label = text.substr(begin, text.find('.', begin) - begin);
        if (label.empty() || label.size() > label_bytes_max || label.front() == '-' || label.back() == '-')
            return false;
        if (!std::all_of(label.begin(), label.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
            }))
            return false;
    }
    return label.find_first_not_of("0123456789") != std::string_view::npos;
}

/// An address as `listen` has it, a name with a port, or the name of a service.
Parsed<UpstreamPeer> parse_peer(std::string_view text, std::string_view folder) {
    const auto colon = text.rfind(':');
    auto name = lower_case(text.substr(0, colon));
    if (name.ends_with('.')) name.pop_back();
    const bool service = text.starts_with('_') && colon == text.npos;
    if (!text.starts_with("unix:") && is_dns_name(name) && name != "localhost" &&
        (service || colon != text.npos)) {
        UpstreamPeer peer;
        peer.name = std::move(name);
        peer.service = service;
        if (service) return peer;
        const auto port = parse_number(text.substr(colon + 1), 1, 65'535);
        if (!port) return tl::unexpected("port " + port.error());
        peer.address.port = static_cast<std::uint16_t>(*port);
        return peer;
    }
    auto address = parse_address(text, folder);
    if (!address) return tl::unexpected(address.error());
    if (address->host == "0.0.0.0" || address->host == "::")
        return tl::unexpected(fmt::format("{} is nobody's address: write the peer's", address->text()));
    UpstreamPeer peer;
    peer.address = std::move(*address);
    return peer;
}

constexpr Milliseconds health_every_min{100}, health_every_max{24 * 3'600'000};
constexpr Milliseconds health_timeout_min{10};
constexpr std::size_t health_body_max = 1024;

bool is_request_target(std::string_view text) {
    return text.starts_with('/') && text.find_first_of("# \"<>\\^`{|}") == text.npos &&
           !has_control_character(text) &&
           std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// A name or an address, with a port or without.
bool is_host(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("-._:[]").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

/// `200`, `200-399`.
Parsed<void> read_statuses(std::string_view text, HealthCheck& check) {
    const auto dash = text.find('-');
    const auto first = parse_number(text.substr(0, dash), 200, 599);
    const auto last = dash == text.npos ? first : parse_number(text.substr(dash + 1), 200, 599);
    if (!first || !last || *first > *last)
        return tl::unexpected(
            fmt::format("status: {} is not a status from 200 to 599, or two as `200-399`", shown(text)));
    check.status_min = static_cast<std::uint16_t>(*first);
    check.status_max = static_cast<std::uint16_t>(*last);
    return {};
}

/// What may follow how a peer is asked, but `every`.
Parsed<void> read_option(std::string_view option, HealthCheck& check, std::optional<Milliseconds>& timeout) {
    static constexpr std::string_view known[] = {"every TIME", "timeout=TIME", "rise=N",    "fall=N",
                                                 "port=N",     "status=N-M",   "host=NAME", "body=TEXT"};
    for (const auto& read :
         {read_number(option, "rise", 1, 100, check.rise), read_number(option, "fall", 1, 100, check.fall),
          read_number(option, "port", 1, 65'535, check.port)}) {
        if (!read) return tl::unexpected(read.error());
        if (*read) return {};
    }
    const auto equals = option.find('=');
    const auto name = option.substr(0, equals);
    const auto text = equals == option.npos ? std::string_view() : option.substr(equals + 1);
    if (name == "timeout" && equals != option.npos) {
        const auto time = parse_time(text, health_timeout_min, health_every_max);
        if (!time) return tl::unexpected(fmt::format("timeout: {}", time.error()));
        timeout = *time;
        return {};
    }
    if (equals == option.npos || (name != "status" && name != "host" && name != "body"))
        return tl::unexpected(fmt::format("unknown option {}{}", shown(option), hint(option, known)));
    if (check.how == HealthCheck::How::tcp)
        return tl::unexpected(fmt::format("{}: only GET and HEAD have one, tcp does but connect", name));
    if (name == "status") return read_statuses(text, check);
    if (name == "host") {
        if (!is_host(text)) return tl::unexpected(fmt::format("host: {} is not a host's name", shown(text)));
        check.host = text;
        return {};
    }
    if (text.empty() || text.size() > health_body_max)
        return tl::unexpected(fmt::format("body: wants 1 to {} bytes of text", health_body_max));
    check.body = text;
    return {};
}

}  // namespace

std::string UpstreamPeer::text() const {
    if (!is_name()) return address.text();
    return service ? name : fmt::format("{}:{}", name, address.port);
}

Parsed<std::vector<UpstreamPeer>> PeerType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    auto peer = parse_peer(words->at(0).text, value.folder);
    if (!peer) return tl::unexpected(peer.error());
    for (auto word = words->begin() + 1; word != words->end(); ++word)
        if (auto read = read_option(word->text, *peer); !read) return tl::unexpected(std::move(read.error()));
    return std::vector{std::move(*peer)};
}

std::string PeerType::print(const UpstreamPeer& peer) const {
    return fmt::format("{} weight={}{}{}{}{}", as_word(peer.text()), peer.weight,
                       peer.backup ? " backup" : "", peer.down ? " down" : "",
                       peer.max_conns > 0 ? fmt::format(" max_conns={}", peer.max_conns) : "",
                       peer.is_name() ? fmt::format(" peers_max={}", peer.peers_max) : "");
}

Parsed<std::vector<Address>> NameServers::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<Address> servers;
    for (const auto& word : *words) {
        const auto& text = word.text;
        const bool has_port =
            text.starts_with('[') ? text.find("]:") != text.npos : text.find(':') != text.npos;
        auto server = parse_address(has_port ? text : text + ":53", value.folder);
        if (!server) return tl::unexpected(server.error());
        if (server->family == Address::Family::unix_path || server->host == "0.0.0.0" || server->host == "::")
            return tl::unexpected(fmt::format("{} is no name server: ADDRESS or ADDRESS:PORT", shown(text)));
        servers.push_back(std::move(*server));
    }
    return servers;
}

Parsed<Balance> BalanceType::parse(const Value& value) const {
    const auto split = split_word(value.text);
    if (!split) return tl::unexpected(split.error());
    std::vector<std::string_view> names;
    for (const auto& [name, how] : ways) {
        names.push_back(name);
        if (name != split->first.text) continue;
        Balance balance{how, {}};
        if (how != Balance::How::hash) {
            if (!split->rest.empty())
                return tl::unexpected(
                    fmt::format("{} takes nothing more, and here is {}", name, shown(split->rest)));
            return balance;
        }
        auto key = free_text(split->rest);
        if (!key) return tl::unexpected(key.error());
        if (key->empty()) return tl::unexpected<std::string>("hash wants a key: `hash $uri`");
        if (const auto pieces = split_text(*key); !pieces) return tl::unexpected(pieces.error());
        balance.key = std::move(*key);
        return balance;
    }
    return tl::unexpected(not_one_of(split->first.text, names));
}

std::string BalanceType::print(const Balance& balance) const {
    for (const auto& [name, how] : ways)
        if (how == balance.how)
            return balance.key.empty() ? std::string(name) : fmt::format("{} {}", name, as_text(balance.key));
    std::abort();
}

Parsed<std::vector<FanoutPart>> FanoutParts::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<FanoutPart> parts;
    for (const auto& word : *words) {
        FanoutPart part;
        const auto equals = word.text.find('=');
        const auto slash = word.text.find('/');
        const bool named = equals < slash;
        if (named) part.name = word.text.substr(0, equals);
        const auto begin = named ? equals + 1 : 0;
        part.upstream = word.text.substr(begin, slash == std::string::npos ? slash : slash - begin);
        if (slash != std::string::npos) part.path = word.text.substr(slash);
        if (!named) part.name = part.upstream;
        if (!is_name(part.name) || !is_name(part.upstream))
            return tl::unexpected(
                fmt::format("{} is not a part: NAME, NAME=UPSTREAM or NAME=UPSTREAM/path", shown(word.text)));
        if (part.path.find_first_of("# \"<>\\^`{|}") != std::string::npos || has_control_character(part.path))
            return tl::unexpected(
                fmt::format("{} is not a path as it stands in a request", shown(part.path)));
        parts.push_back(std::move(part));
    }
    return parts;
}

std::string FanoutParts::print(const FanoutPart& part) const {
    if (part.path.empty() && part.name == part.upstream) return part.name;
    return as_word(fmt::format("{}={}{}", part.name, part.upstream, part.path));
}

Parsed<BreakerOn> BreakerOnType::parse(const Value& value) const {
    static constexpr std::string_view known[] = {"timeout", "gateway", "server", "none"};
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    BreakerOn on{false, false, false};
    for (const auto& word : *words) {
        if (word.text == "timeout") {
            on.timeout = true;
        } else if (word.text == "gateway") {
            on.gateway = true;
        } else if (word.text == "server") {
            on.server = true;
        } else if (word.text != "none" || words->size() > 1) {
            return tl::unexpected(not_one_of(word.text, known));
        }
    }
    return on;
}

std::string BreakerOnType::print(const BreakerOn& on) const {
    std::string text;
    const auto add = [&text](bool is, std::string_view name) {
        if (is) text.append(text.empty() ? "" : " ").append(name);
    };
    add(on.timeout, "timeout");
    add(on.gateway, "gateway");
    add(on.server, "server");
    return text.empty() ? "none" : text;
}

Parsed<HealthCheck> HealthCheckType::parse(const Value& value) const {
    static constexpr std::string_view known[] = {"off", "tcp", "GET", "HEAD"};
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    HealthCheck check;
    auto word = words->begin();
    const auto& how = word++->text;
    if (std::find(std::begin(known), std::end(known), how) == std::end(known))
        return tl::unexpected(not_one_of(how, known));
    if (how == "off") {
        if (word != words->end())
            return tl::unexpected(fmt::format("off takes nothing more, and here is {}", shown(word->text)));
        return check;
    }
    check.how = how == "tcp" ? HealthCheck::How::tcp : HealthCheck::How::http;
    if (check.how == HealthCheck::How::http) {
        if (word == words->end() || !is_request_target(word->text))
            return tl::unexpected(
                fmt::format("{} wants a path as it stands in a request: `{} /healthz`", how, how));
        check.method = how;
        check.target = word++->text;
    }
    std::optional<Milliseconds> timeout;
    std::vector<std::string> given;
    for (; word != words->end(); ++word) {
        const auto name = word->text.substr(0, word->text.find('='));
        if (std::find(given.begin(), given.end(), name) != given.end())
            return tl::unexpected(fmt::format("{} stands there twice", name));
        given.push_back(name);
        if (word->text == "every") {
            if (++word == words->end()) return tl::unexpected<std::string>("every wants a time: `every 2s`");
            const auto every = parse_time(word->text, health_every_min, health_every_max);
            if (!every) return tl::unexpected(fmt::format("every: {}", every.error()));
            check.every = *every;
        } else if (auto read = read_option(word->text, check, timeout); !read) {
            return tl::unexpected(std::move(read.error()));
        }
    }
    check.timeout = timeout.value_or(std::min(check.every, HealthCheck{}.timeout));
    if (check.timeout > check.every)
        return tl::unexpected(fmt::format("timeout: {} is longer than every {}", print_time(check.timeout),
                                          print_time(check.every)));
    if (check.method == "HEAD" && !check.body.empty())
        return tl::unexpected<std::string>("body: the answer to HEAD has none");
    return check;
}

std::string HealthCheckType::print(const HealthCheck& check) const {
    if (check.how == HealthCheck::How::off) return "off";
    const bool http = check.how == HealthCheck::How::http;
    auto text = http ? fmt::format("{} {}", check.method, as_word(check.target)) : std::string("tcp");
    text += fmt::format(" every {} timeout={} rise={} fall={}", print_time(check.every),
                        print_time(check.timeout), check.rise, check.fall);
    if (http) text += fmt::format(" status={}-{}", check.status_min, check.status_max);
    if (check.port != 0) text += fmt::format(" port={}", check.port);
    if (!check.host.empty()) text += " " + as_word("host=" + check.host);
    if (!check.body.empty()) text += " " + as_word("body=" + check.body);
    return text;
}

Parsed<Rewrite> RewriteType::parse(const Value& value) const {
    auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    if (words->size() != 2)
        return tl::unexpected(fmt::format("{} is not `REGEX REPLACEMENT`", shown(value.text)));
    Rewrite rewrite{std::move(words->front().text), std::move(words->back().text)};
    if (rewrite.pattern.empty()) return tl::unexpected<std::string>("an empty regular expression");
    RE2::Options quiet;
    quiet.set_log_errors(false);
    const RE2 compiled(rewrite.pattern, quiet);
    if (!compiled.ok())
        return tl::unexpected(
            fmt::format("{} is not a regular expression: {}", shown(rewrite.pattern), compiled.error()));
    std::string why;
    if (!compiled.CheckRewriteString(rewrite.replacement, &why))
        return tl::unexpected(fmt::format("{}: {}", shown(rewrite.replacement), why));
    return rewrite;
}

std::string RewriteType::print(const Rewrite& rewrite) const {
    if (rewrite.pattern.empty()) return {};
    return fmt::format("{} {}", as_word(rewrite.pattern), as_word(rewrite.replacement));
}

namespace {

/// What may stand in an attribute of a cookie (RFC 6265 4.1.1).
bool fits_cookie(std::string_view text) {
    return text.find(';') == std::string_view::npos &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

constexpr std::array<std::pair<std::string_view, Sticky::SameSite>, 3> same_sites{{
    {"lax", Sticky::SameSite::lax},
    {"strict", Sticky::SameSite::strict},
    {"none", Sticky::SameSite::none},
}};

Parsed<void> read_same_site(std::string_view text, Sticky& sticky) {
    std::vector<std::string_view> names;
    for (const auto& [name, same_site] : same_sites) {
        names.push_back(name);
        if (name != text) continue;
        sticky.same_site = same_site;
        return {};
    }
    return tl::unexpected("samesite: " + not_one_of(text, names));
}

Parsed<void> read_attribute(std::string_view attribute, Sticky& sticky) {
    static constexpr std::string_view known[] = {"path=PATH", "domain=DOMAIN", "expires=TIME", "httponly",
                                                 "secure",    "samesite=WHAT", "secret=TEXT"};
    const auto equals = attribute.find('=');
    const std::string_view name = attribute.substr(0, equals);
    const std::string_view text = equals == std::string_view::npos ? "" : attribute.substr(equals + 1);
    if (attribute == "httponly" || attribute == "secure") {
        (attribute == "secure" ? sticky.secure : sticky.http_only) = true;
        return {};
    }
    if (equals != std::string_view::npos && (name == "path" || name == "domain" || name == "secret")) {
        if (text.empty()) return tl::unexpected(fmt::format("{}: it is empty", name));
        if (name != "secret" && !fits_cookie(text))
            return tl::unexpected(fmt::format("{}: {} cannot stand in a cookie", name, shown(text)));
        if (name == "secret" && text == hidden_secret)
            return tl::unexpected(fmt::format(
                "secret: {} stands for one that was not shown; put the real one here", hidden_secret));
        if (name == "path" && !text.starts_with('/'))
            return tl::unexpected(fmt::format("path: {} does not begin with /", shown(text)));
        (name == "path" ? sticky.path : name == "domain" ? sticky.domain : sticky.secret) = text;
        return {};
    }
    if (equals != std::string_view::npos && name == "samesite") return read_same_site(text, sticky);
    if (equals != std::string_view::npos && name == "expires") {
        const auto time = parse_time(text, Milliseconds(1000), Milliseconds(400LL * 24 * 3600 * 1000));
        if (!time) return tl::unexpected("expires: " + time.error());
        if (time->count() % 1000 != 0) return tl::unexpected<std::string>("expires: only whole seconds");
        sticky.expires = *time;
        return {};
    }
    return tl::unexpected(fmt::format("unknown attribute {}{}", shown(attribute), hint(attribute, known)));
}

}  // namespace

Parsed<Sticky> StickyType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    Sticky sticky;
    if (words->size() == 1 && words->at(0).text == "off") return sticky;
    if (words->size() < 2 || words->at(0).text != "cookie")
        return tl::unexpected(
            fmt::format("{} is not `off` or `cookie NAME` and attributes", shown(value.text)));
    sticky.cookie = words->at(1).text;
    if (!is_token(sticky.cookie))
        return tl::unexpected(fmt::format("{} is not the name of a cookie", shown(sticky.cookie)));
    for (auto word = words->begin() + 2; word != words->end(); ++word)
        if (auto read = read_attribute(word->text, sticky); !read)
            return tl::unexpected(std::move(read.error()));
    if (sticky.same_site == Sticky::SameSite::none && !sticky.secure)
        return tl::unexpected<std::string>("samesite=none wants `secure`: no browser takes it without");
    return sticky;
}

std::string StickyType::print(const Sticky& sticky) const {
    if (sticky.cookie.empty()) return "off";
    std::string text = fmt::format("cookie {} {}", sticky.cookie, as_word("path=" + sticky.path));
    if (!sticky.domain.empty()) text += " " + as_word("domain=" + sticky.domain);
    if (sticky.expires.count() > 0) text += " expires=" + print_time(sticky.expires);
    if (sticky.http_only) text += " httponly";
    if (sticky.secure) text += " secure";
    for (const auto& [name, same_site] : same_sites)
        if (same_site == sticky.same_site) text.append(" samesite=").append(name);
    if (!sticky.secret.empty()) text += " " + as_word("secret=" + sticky.secret);
    return text;
}

Parsed<std::vector<CookieRewrite>> CookieRewriteType::parse(const Value& value) const {
    auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    if (words->size() != 2) return tl::unexpected(fmt::format("{} is not `FROM TO`", shown(value.text)));
    CookieRewrite rewrite{std::move(words->front().text), std::move(words->back().text)};
    if (rewrite.from.empty()) return tl::unexpected<std::string>("FROM is empty");
    if (!fits_cookie(rewrite.to))
        return tl::unexpected(fmt::format("{} cannot stand in a cookie", shown(rewrite.to)));
    return std::vector{std::move(rewrite)};
}

std::string CookieRewriteType::print(const CookieRewrite& rewrite) const {
    return fmt::format("{} {}", as_word(rewrite.from), as_word(rewrite.to));
}

}  // namespace conf
