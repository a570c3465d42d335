#include "worker/upstream/sticky.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace worker::upstream {
namespace {

/// All attributes, as they stand behind the value (RFC 6265 4.1).
std::string attributes(const conf::Sticky& config) {
    using SameSite = conf::Sticky::SameSite;
    std::string text;
    if (!config.domain.empty()) text += "; Domain=" + config.domain;
    if (!config.path.empty()) text += "; Path=" + config.path;
    if (config.expires.count() > 0) text += fmt::format("; Max-Age={}", config.expires.count() / 1000);
    if (config.secure) text += "; Secure";
    if (config.http_only) text += "; HttpOnly";
    switch (config.same_site) {
        case SameSite::unset: break;
        case SameSite::lax: text += "; SameSite=Lax"; break;
        case SameSite::strict: text += "; SameSite=Strict"; break;
        case SameSite::none: text += "; SameSite=None"; break;
    }
    return text;
}

ipc::HashKey key_of(const conf::Sticky& config, std::uint64_t seed) {
    if (config.secret.empty()) return {seed, 0x737469636b79};
    return {ipc::siphash({0, 1}, config.secret), ipc::siphash({0, 2}, config.secret)};
}

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

}  // namespace

Sticky::Sticky(const conf::Sticky& config, std::string_view upstream, std::deque<Peer>& peers,
               std::uint64_t seed)
    : name_(config.cookie),
      upstream_(upstream),
      attributes_(attributes(config) + "\r\n"),
      key_(key_of(config, seed)),
      peers_(peers) {
    on_change();
}

void Sticky::on_change() {
    all_.clear();
    for (Peer& peer : peers_) {
        if (!peer.present) continue;
        const std::uint64_t hash = ipc::siphash(key_, fmt::format("{}\n{}", upstream_, peer.name));
        std::string value = fmt::format("{:016x}", hash);
        std::string field = fmt::format("Set-Cookie: {}={}{}", name_, value, attributes_);
        all_.push_back({&peer, std::move(value), std::move(field)});
    }
}

Peer* Sticky::find(std::string_view cookies) const noexcept {
    while (!cookies.empty()) {
        const std::string_view pair = trimmed(cookies.substr(0, cookies.find(';')));
        cookies.remove_prefix(std::min(cookies.find(';'), cookies.size() - 1) + 1);
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos || pair.substr(0, equals) != name_) continue;
        const std::string_view value = pair.substr(equals + 1);
        for (const Bound& bound : all_)
            if (bound.value == value) return bound.peer;
    }
    return nullptr;
}

std::string_view Sticky::field(const Peer& peer) const noexcept {
    for (const Bound& bound : all_)
        if (bound.peer == &peer) return bound.field;
    return {};
}

}  // namespace worker::upstream
