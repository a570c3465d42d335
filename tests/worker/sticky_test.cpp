#include "worker/upstream/sticky.h"

namespace {

using worker::upstream::Peer;
using worker::upstream::Sticky;

/// Peers 10.0.0.1:80, 10.0.0.2:80, ...
std::deque<Peer> make_peers(unsigned count) {
    std::deque<Peer> peers;
    for (unsigned i = 1; i <= count; ++i) {
        conf::UpstreamPeer peer;
        peer.address = {conf::Address::Family::ipv4, "10.0.0." + std::to_string(i), 80};
        peers.emplace_back(peer);
    }
    return peers;
}

conf::Sticky named(const std::string& cookie, const std::string& secret = {}) {
    conf::Sticky config;
    config.cookie = cookie;
    config.secret = secret;
    return config;
}

/// "NAME=VALUE" of a field.
std::string pair_of(const std::string& field) {
    const auto begin = field.find(' ') + 1;
    return field.substr(begin, field.find_first_of(";\r") - begin);
}

}  // namespace

TEST_CASE("a sticky cookie means the peer it was made for", "[sticky]") {
    auto peers = make_peers(5);
    const Sticky sticky(named("route"), "u", peers, 7);
    for (const Peer& peer : peers) {
        const std::string pair = pair_of(std::string(sticky.field(peer)));
        CHECK(pair.starts_with("route="));
        CHECK(pair.find("10.0") == std::string::npos);
        CHECK(sticky.find(pair) == &peer);
        CHECK(sticky.find("a=b; " + pair + "; c=d") == &peer);
        CHECK(sticky.find("a=b;" + pair) == &peer);
        CHECK(sticky.find("route=old; " + pair) == &peer);
        CHECK(sticky.find("x" + pair) == nullptr);
        CHECK(sticky.find(pair + "0") == nullptr);
    }
    for (const std::string_view nobody :
         {"", ";", "; ;", "route", "route=", "=", "route=10.0.0.1:80", "Route=x"})
        CHECK(sticky.find(nobody) == nullptr);
}

TEST_CASE("a sticky cookie is the same in every process with the same key, and for no other", "[sticky]") {
    auto peers = make_peers(2), fewer = make_peers(1);
    const auto field = [](const conf::Sticky& config, std::string_view upstream, std::deque<Peer>& of,
                          std::uint64_t seed) {
        return std::string(Sticky(config, upstream, of, seed).field(of[0]));
    };
    const std::string one = field(named("r"), "u", peers, 7);
    CHECK(field(named("r"), "u", fewer, 7) == one);
    CHECK(field(named("r"), "u", peers, 8) != one);
    CHECK(field(named("r"), "v", peers, 7) != one);
    const std::string secret = field(named("r", "s"), "u", peers, 7);
    CHECK(secret != one);
    CHECK(field(named("r", "s"), "u", peers, 8) == secret);
    CHECK(field(named("r", "t"), "u", peers, 7) != secret);
}

TEST_CASE("a sticky cookie has the attributes of its configuration", "[sticky]") {
    using std::chrono_literals::operator""h;
    auto peers = make_peers(1);
    const auto behind = [&](const conf::Sticky& config) {
        const std::string field(Sticky(config, "u", peers, 7).field(peers[0]));
        return field.substr(field.find(';'));
    };
    conf::Sticky config = named("r");
    CHECK(behind(config) == "; Path=/\r\n");
    config.same_site = conf::Sticky::SameSite::lax;
    CHECK(behind(config) == "; Path=/; SameSite=Lax\r\n");
    config.same_site = conf::Sticky::SameSite::strict;
    CHECK(behind(config) == "; Path=/; SameSite=Strict\r\n");
    config.same_site = conf::Sticky::SameSite::none;
    config.path = "/a";
    config.domain = "x.org";
    config.expires = 1h;
    config.http_only = config.secure = true;
    CHECK(behind(config) == "; Domain=x.org; Path=/a; Max-Age=3600; Secure; HttpOnly; SameSite=None\r\n");
}

TEST_CASE("a sticky cookie follows who stands in a place", "[sticky][dns]") {
    auto peers = make_peers(2), others = make_peers(3);
    Sticky sticky(named("route"), "u", peers, 7);
    const std::string first = pair_of(std::string(sticky.field(peers[0])));
    const std::string second = pair_of(std::string(sticky.field(peers[1])));
    peers[0].become(others[2].config);
    sticky.on_change();
    CHECK(sticky.find(first) == nullptr);
    CHECK(sticky.find(second) == &peers[1]);
    CHECK(sticky.find(pair_of(std::string(sticky.field(peers[0])))) == &peers[0]);
    peers[0].present = false;
    sticky.on_change();
    CHECK(sticky.field(peers[0]).empty());
    CHECK(sticky.find("route=") == nullptr);
    peers[1].become(others[0].config);
    sticky.on_change();
    CHECK(sticky.find(first) == &peers[1]);
}
