// tests/worker/balancer_health_test.cpp: who is asked when checks say that somebody is down.
#include <map>

#include "worker/upstream/balancer.h"

namespace {

using worker::upstream::Balancer;
using worker::upstream::Peer;
using How = conf::Balance::How;

/// Peers 127.0.0.1:1, :2, ..., all checked, with cells of their own.
struct Peers {
    explicit Peers(std::size_t count, How how = How::round_robin) : balance{how, {}} {
        for (std::size_t n = 0; n < count; ++n) {
            conf::UpstreamPeer config;
            config.address = {conf::Address::Family::ipv4, "127.0.0.1", static_cast<std::uint16_t>(n + 1)};
            auto& peer = all.emplace_back(config);
            peer.cell = &cells.emplace_back();
            peer.use = &uses.emplace_back();
            peer.checked = true;
        }
    }
    void set(std::size_t index, ipc::Health health, std::uint64_t now_ms = 1) {
        cells[index].health.change(health, now_ms);
    }
    /// How often each is asked in so many calls; -1: nobody was.
    [[nodiscard]] std::map<int, int> asked(int calls, std::uint64_t now_ms = 1,
                                           const std::vector<std::size_t>& tried_already = {}) {
        Balancer balancer(balance, all, [](const Peer&) { return 0; });
        worker::upstream::Tried tried;
        for (const auto index : tried_already) tried.emplace_back(all[index]);
        std::map<int, int> count;
        for (int call = 0; call < calls; ++call) {
            const Peer* peer =
                balancer.next(static_cast<std::uint64_t>(call) * 0x9e3779b97f4a7c15u, tried, now_ms);
            ++count[peer == nullptr ? -1 : peer->config.address.port - 1];
        }
        return count;
    }
    conf::Balance balance;
    std::deque<Peer> all;
    std::deque<ipc::PeerCell> cells;
    std::deque<ipc::PeerUse> uses;
};

}  // namespace

TEST_CASE("a peer that is down by its checks is not asked", "[health]") {
    Peers peers(3, GENERATE(How::round_robin, How::least_conn, How::random_two, How::hash));
    peers.set(1, ipc::Health::down);
    const auto asked = peers.asked(300);
    CHECK(asked.count(1) == 0);
    CHECK((asked.count(0) == 1 && asked.count(2) == 1));
    peers.set(1, ipc::Health::up);
    CHECK(peers.asked(300).count(1) == 1);
}

TEST_CASE("an unknown peer counts as up, and so does one that nobody checks", "[health]") {
    Peers peers(2);
    CHECK(peers.asked(10) == std::map<int, int>{{0, 5}, {1, 5}});
    peers.set(1, ipc::Health::down);
    peers.all[1].checked = false;  // left from an earlier configuration
    CHECK(peers.asked(10) == std::map<int, int>{{0, 5}, {1, 5}});
}

TEST_CASE("when all are down none counts as down", "[health]") {
    Peers peers(2);
    peers.set(0, ipc::Health::down);
    peers.set(1, ipc::Health::down);
    CHECK(peers.asked(10) == std::map<int, int>{{0, 5}, {1, 5}});
    peers.all[0].config.down = true;
    CHECK(peers.asked(10) == std::map<int, int>{{1, 10}});
}

TEST_CASE("a backup that is well comes before primaries that are down", "[health]") {
    Peers peers(3);
    peers.all[2].config.backup = true;
    peers.set(0, ipc::Health::down);
    CHECK(peers.asked(10) == std::map<int, int>{{1, 10}});
    peers.set(1, ipc::Health::down);
    CHECK(peers.asked(10) == std::map<int, int>{{2, 10}});
    peers.set(2, ipc::Health::down);
    CHECK(peers.asked(10) == std::map<int, int>{{0, 5}, {1, 5}});
}

TEST_CASE("a second try does not go to a peer that is down", "[health]") {
    Peers peers(2);
    peers.set(1, ipc::Health::down);
    CHECK(peers.asked(10, 1, {0}) == std::map<int, int>{{-1, 10}});
    peers.set(0, ipc::Health::down);
    CHECK(peers.asked(10, 1, {0}) == std::map<int, int>{{1, 10}});
}

TEST_CASE("a full peer makes nobody else well", "[health]") {
    Peers peers(2);
    peers.all[0].config.max_conns = 1;
    peers.uses[0].active.set(1);
    peers.set(1, ipc::Health::down);
    CHECK(peers.asked(3) == std::map<int, int>{{-1, 3}});
}

TEST_CASE("a peer that is up again gets more and more of its share", "[health]") {
    Peers peers(2);
    for (auto& peer : peers.all) peer.slow_start = 10'000;
    peers.set(1, ipc::Health::up, 500);  // for the first time: nothing to be careful about
    CHECK(peers.asked(100, 501) == std::map<int, int>{{0, 50}, {1, 50}});
    peers.set(1, ipc::Health::down, 600);
    peers.set(1, ipc::Health::up, 1000);
    CHECK(peers.asked(110, 1000) == std::map<int, int>{{0, 100}, {1, 10}});
    CHECK(peers.asked(150, 6000) == std::map<int, int>{{0, 100}, {1, 50}});
    CHECK(peers.asked(100, 11'000) == std::map<int, int>{{0, 50}, {1, 50}});
    peers.balance.how = How::random_two;
    const auto random = peers.asked(2000, 1000);
    CHECK(random.at(1) > 0);
    peers.balance.how = How::least_conn;
    peers.uses[0].active.set(5);
    peers.uses[1].active.set(1);  // a tenth of the share bears less than a fifth of the calls
    CHECK(peers.asked(1, 1000) == std::map<int, int>{{0, 1}});
    CHECK(peers.asked(1, 6000) == std::map<int, int>{{1, 1}});
}
