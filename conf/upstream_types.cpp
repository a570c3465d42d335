#include "conf/upstream_types.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "conf/address.h"
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
    static constexpr std::string_view known[] = {"weight=N", "backup", "down", "max_conns=N"};
    if (option == "backup" || option == "down") {
        (option == "backup" ? peer.backup : peer.down) = true;
        return {};
    }
    for (const auto& read : {read_number(option, "weight", 1, 65'535, peer.weight),
                             read_number(option, "max_conns", 0, 1'000'000, peer.max_conns)}) {
        if (!read) return tl::unexpected(read.error());
        if (*read) return {};
    }
    return tl::unexpected(fmt::format("unknown option {}{}", shown(option), hint(option, known)));
}

}  // namespace

Parsed<std::vector<UpstreamPeer>> PeerType::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    auto address = parse_address(words->at(0).text, value.folder);
    if (!address) return tl::unexpected(address.error());
    if (address->host == "0.0.0.0" || address->host == "::")
        return tl::unexpected(fmt::format("{} is nobody's address: write the peer's", address->text()));
    UpstreamPeer peer{std::move(*address)};
    for (auto word = words->begin() + 1; word != words->end(); ++word)
        if (auto read = read_option(word->text, peer); !read) return tl::unexpected(std::move(read.error()));
    return std::vector{std::move(peer)};
}

std::string PeerType::print(const UpstreamPeer& peer) const {
    return fmt::format("{} weight={}{}{}{}", as_word(peer.address.text()), peer.weight,
                       peer.backup ? " backup" : "", peer.down ? " down" : "",
                       peer.max_conns > 0 ? fmt::format(" max_conns={}", peer.max_conns) : "");
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

}  // namespace conf
