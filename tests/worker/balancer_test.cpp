#include "worker/upstream/balancer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace {

using How = conf::Balance::How;
using worker::upstream::Balancer;
using worker::upstream::hash_of;
using worker::upstream::Peer;
using worker::upstream::Tried;

constexpr std::uint64_t now_ms = 1'000'000;

/// 10.0.0.1:80 with these terms.
conf::UpstreamPeer peer(unsigned last, std::uint32_t weight = 1) {
    conf::UpstreamPeer made;
    made.address = {conf::Address::Family::ipv4, "10.0.0." + std::to_string(last), 80};
    made.weight = weight;
    return made;
}

conf::UpstreamPeer backup(unsigned last) {
    conf::UpstreamPeer made = peer(last);
    made.backup = true;
    return made;
}

conf::UpstreamPeer down(unsigned last) {
    conf::UpstreamPeer made = peer(last);
    made.down = true;
    return made;
}

conf::UpstreamPeer limited(unsigned last, std::uint32_t max_conns) {
    conf::UpstreamPeer made = peer(last);
    made.max_conns = max_conns;
    return made;
}

/// Peers with cells of their own; a and b and so on, in the order of the configuration.
class Group {
 public:
    Group(How how, const std::vector<conf::UpstreamPeer>& configured)
        : peers_(configured.begin(), configured.end()),
          cells_(configured.size()),
          uses_(configured.size()),
          balancer_(attached(how), peers_, [this](const Peer& one) { return others[letter(&one)]; }) {}

    [[nodiscard]] char next(std::uint64_t key = 0) { return letter(balancer_.next(key, tried, now_ms)); }
    [[nodiscard]] std::string next_ones(int count) {
        std::string all;
        while (count-- > 0) all += next();
        return all;
    }
    [[nodiscard]] std::map<char, int> shares(int count) {
        std::map<char, int> all;
        while (count-- > 0) ++all[next()];
        return all;
    }
    /// As it stands in the log, so that peers of other groups compare.
    [[nodiscard]] std::string owner(std::uint64_t key) {
        return std::string(balancer_.next(key, tried, now_ms)->name);
    }
    [[nodiscard]] bool was_full() const { return balancer_.was_full(); }

    void calls(char name, std::uint64_t active) { at(name).use->active.set(active); }
    void eject(char name, std::uint64_t until_ms = now_ms + 1) { at(name).cell->ejected_until_ms = until_ms; }
    void ask(char name) { tried.emplace_back(at(name)); }

    std::map<char, std::uint64_t> others;  ///< calls of other workers
    Tried tried;

 private:
    Peer& at(char name) { return peers_.at(static_cast<std::size_t>(name - 'a')); }
    /// '-': none.
    char letter(const Peer* of) {
        for (std::size_t index = 0; index < peers_.size(); ++index)
            if (&peers_[index] == of) return static_cast<char>('a' + index);
        return '-';
    }
    conf::Balance attached(How how) {
        for (std::size_t index = 0; index < peers_.size(); ++index) {
            peers_[index].cell = &cells_[index];
            peers_[index].use = &uses_[index];
        }
        return {how, how == How::hash ? "$uri" : ""};
    }

    std::deque<Peer> peers_;
    std::deque<ipc::PeerCell> cells_;
    std::deque<ipc::PeerUse> uses_;
    Balancer balancer_;
};

constexpr How all_ways[] = {How::round_robin, How::least_conn, How::random_two, How::hash};

std::vector<conf::UpstreamPeer> ten_peers() {
    std::vector<conf::UpstreamPeer> peers;
    for (unsigned last = 1; last <= 10; ++last) peers.push_back(peer(last));
    return peers;
}

/// Keys as paths give them.
std::vector<std::uint64_t> keys() {
    std::vector<std::uint64_t> all;
    for (int number = 0; number < 10'000; ++number) all.push_back(hash_of("/item/" + std::to_string(number)));
    return all;
}

}  // namespace

// ---- who can be asked ---------------------------------------------------------------------------

TEST_CASE("nobody is chosen among peers that are down, whatever the balance", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {down(1), down(2)});
        CHECK(group.next() == '-');
        CHECK_FALSE(group.was_full());
    }
}

TEST_CASE("a peer that is down is never asked, also when it is the last one left", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {down(1), peer(2), peer(3)});
        for (std::uint64_t key = 0; key < 100; ++key) CHECK(group.next(hash_of(std::to_string(key))) != 'a');
        group.eject('b');
        group.ask('c');
        CHECK(group.next() == 'b');
        group.ask('b');
        CHECK(group.next() == '-');
    }
}

TEST_CASE("a backup is asked only when no other peer can be", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {backup(1), peer(2), peer(3)});
        for (std::uint64_t key = 0; key < 100; ++key) CHECK(group.next(hash_of(std::to_string(key))) != 'a');
        group.ask('b');
        CHECK(group.next() == 'c');
        group.ask('c');
        CHECK(group.next() == 'a');
        group.ask('a');
        CHECK(group.next() == '-');
    }
}

TEST_CASE("a backup is asked when the others are down or full", "[balancer]") {
    Group group(How::round_robin, {down(1), limited(2, 1), backup(3)});
    CHECK(group.next() == 'b');
    group.calls('b', 1);
    CHECK(group.next() == 'c');
    CHECK_FALSE(group.was_full());
}

TEST_CASE("a backup that is well is asked before peers that are ejected", "[balancer]") {
    Group group(How::round_robin, {peer(1), peer(2), backup(3)});
    group.eject('a');
    CHECK(group.next_ones(3) == "bbb");
    group.eject('b');
    CHECK(group.next_ones(3) == "ccc");
    group.eject('c');
    CHECK(group.next_ones(2) == "ab");
}

TEST_CASE("an ejected peer is left alone until its time is over", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {peer(1), peer(2), peer(3)});
        group.eject('a');
        for (std::uint64_t key = 0; key < 100; ++key) CHECK(group.next(hash_of(std::to_string(key))) != 'a');
        group.eject('a', now_ms);
        std::set<char> seen;
        for (std::uint64_t key = 0; key < 100; ++key) seen.insert(group.next(hash_of(std::to_string(key))));
        CHECK(seen == std::set{'a', 'b', 'c'});
    }
}

TEST_CASE("when all are ejected they are asked as if none were", "[balancer]") {
    Group group(How::round_robin, {peer(1), peer(2)});
    group.eject('a');
    group.eject('b');
    CHECK(group.next_ones(4) == "abab");
}

TEST_CASE("an ejected peer is asked when all others were tried", "[balancer]") {
    Group group(How::round_robin, {peer(1), peer(2)});
    group.eject('a');
    group.ask('b');
    CHECK(group.next() == 'a');
}

TEST_CASE("those that were tried are not asked again", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {peer(1), peer(2), peer(3)});
        std::set<char> asked;
        for (char next = group.next(7); next != '-'; next = group.next(7)) {
            CHECK(asked.insert(next).second);
            group.ask(next);
        }
        CHECK(asked == std::set{'a', 'b', 'c'});
        CHECK_FALSE(group.was_full());
    }
}

TEST_CASE("a peer takes max_conns calls, those of other workers too, and no more", "[balancer]") {
    for (const How how : all_ways) {
        Group group(how, {limited(1, 5), limited(2, 2)});
        group.calls('b', 1);
        group.others['b'] = 1;
        group.calls('a', 4);
        CHECK(group.next() == 'a');
        CHECK_FALSE(group.was_full());
        group.others['a'] = 1;
        CHECK(group.next() == '-');
        CHECK(group.was_full());
        group.others['b'] = 0;
        CHECK(group.next() == 'b');
        CHECK_FALSE(group.was_full());
    }
}

TEST_CASE("a peer without max_conns is never full", "[balancer]") {
    Group group(How::round_robin, {limited(1, 0)});
    group.calls('a', 1'000'000);
    CHECK(group.next() == 'a');
}

// ---- round_robin --------------------------------------------------------------------------------

TEST_CASE("peers of equal weight take turns in the order of the configuration", "[balancer]") {
    Group group(How::round_robin, {peer(1), peer(2), peer(3)});
    CHECK(group.next_ones(7) == "abcabca");
}

TEST_CASE("a heavy peer is asked in between the others, and not many times in a row", "[balancer]") {
    Group group(How::round_robin, {peer(1, 5), peer(2, 1), peer(3, 1)});
    CHECK(group.next_ones(14) == "aabacaaaabacaa");
}

TEST_CASE("over one round each peer is asked as often as it weighs", "[balancer]") {
    Group group(How::round_robin, {peer(1, 7), peer(2, 2), peer(3, 4), peer(4, 1)});
    for (int round = 0; round < 3; ++round)
        CHECK(group.shares(14) == std::map<char, int>{{'a', 7}, {'b', 2}, {'c', 4}, {'d', 1}});
}

TEST_CASE("the largest weights there are stay in proportion", "[balancer]") {
    Group group(How::round_robin, {peer(1, 65'535), peer(2, 65'535), peer(3, 1)});
    CHECK(group.shares(131'071) == std::map<char, int>{{'a', 65'535}, {'b', 65'535}, {'c', 1}});
}

TEST_CASE("backups share among themselves by weight", "[balancer]") {
    auto heavy = backup(2);
    heavy.weight = 3;
    Group group(How::round_robin, {down(1), heavy, backup(3)});
    CHECK(group.shares(8) == std::map<char, int>{{'b', 6}, {'c', 2}});
}

// ---- least_conn ---------------------------------------------------------------------------------

TEST_CASE("least_conn asks the peer with the fewest calls of all workers", "[balancer]") {
    Group group(How::least_conn, {peer(1), peer(2), peer(3)});
    group.calls('a', 3);
    group.calls('b', 1);
    group.calls('c', 2);
    CHECK(group.next_ones(3) == "bbb");
    group.others['b'] = 5;
    CHECK(group.next_ones(3) == "ccc");
}

TEST_CASE("least_conn counts calls for a peer's weight", "[balancer]") {
    Group group(How::least_conn, {peer(1, 1), peer(2, 4)});
    group.calls('a', 1);
    group.calls('b', 3);
    CHECK(group.next() == 'b');
    group.calls('b', 5);
    CHECK(group.next() == 'a');
}

TEST_CASE("least_conn keeps calls in proportion to the weights", "[balancer]") {
    Group group(How::least_conn, {peer(1, 1), peer(2, 2), peer(3, 5)});
    std::map<char, std::uint64_t> active;
    for (int call = 0; call < 80; ++call) {
        const char next = group.next();
        group.calls(next, ++active[next]);
    }
    CHECK(active == std::map<char, std::uint64_t>{{'a', 10}, {'b', 20}, {'c', 50}});
}

TEST_CASE("least_conn gives equals their turns by weight", "[balancer]") {
    Group idle(How::least_conn, {peer(1, 2), peer(2, 1)});
    CHECK(idle.shares(9) == std::map<char, int>{{'a', 6}, {'b', 3}});
    Group busy(How::least_conn, {peer(1), peer(2), peer(3)});
    busy.calls('b', 1);
    CHECK(busy.next_ones(4) == "acac");
}

// ---- random_two ---------------------------------------------------------------------------------

TEST_CASE("random_two never asks the one peer that has more calls than all others", "[balancer]") {
    Group group(How::random_two, {peer(1), peer(2), peer(3), peer(4)});
    group.calls('c', 9);
    for (const char other : {'a', 'b', 'd'}) group.calls(other, 8);
    const auto shares = group.shares(3'000);
    CHECK(shares.count('c') == 0);
    CHECK(shares.size() == 3);
}

TEST_CASE("random_two of two peers is least_conn", "[balancer]") {
    Group group(How::random_two, {peer(1, 1), peer(2, 3)});
    group.calls('a', 1);
    group.calls('b', 2);
    CHECK(group.shares(200) == std::map<char, int>{{'b', 200}});
    group.others['b'] = 2;
    CHECK(group.shares(200) == std::map<char, int>{{'a', 200}});
}

TEST_CASE("random_two asks every one of peers that have nothing to do, the heavy one more often",
          "[balancer]") {
    Group group(How::random_two, {peer(1, 6), peer(2, 1), peer(3, 1), peer(4, 1), peer(5, 1)});
    const auto shares = group.shares(10'000);
    REQUIRE(shares.size() == 5);
    CHECK(std::abs(shares.at('a') - 6'000) < 500);  // ten standard deviations
    for (const char other : {'b', 'c', 'd', 'e'}) CHECK(std::abs(shares.at(other) - 1'000) < 300);
}

TEST_CASE("random_two leaves no peer far ahead of the others", "[balancer]") {
    Group group(How::random_two, {peer(1), peer(2), peer(3), peer(4), peer(5), peer(6), peer(7), peer(8)});
    std::map<char, std::uint64_t> active;
    for (int call = 0; call < 8'000; ++call) {
        const char next = group.next();
        group.calls(next, ++active[next]);
    }
    for (const auto& [name, calls] : active) {
        CAPTURE(name);
        CHECK(calls <= 1'010);  // by chance alone some would have 1,050
        CHECK(calls >= 990);
    }
}

// ---- hash ---------------------------------------------------------------------------------------

TEST_CASE("a key sticks to its peer, whatever the others have to do", "[balancer]") {
    Group group(How::hash, ten_peers());
    const auto owner = group.owner(hash_of("/a"));
    for (const char name : std::string("abcdefghij")) {
        group.calls(name, static_cast<std::uint64_t>(name));
        CHECK(group.owner(hash_of("/a")) == owner);
        static_cast<void>(group.owner(hash_of("/b")));
    }
}

TEST_CASE("another worker with the same configuration chooses the same peers", "[balancer]") {
    Group one(How::hash, ten_peers()), other(How::hash, ten_peers());
    for (const std::uint64_t key : keys())
        if (one.owner(key) != other.owner(key)) FAIL(key);
}

TEST_CASE("the order of the configuration does not matter to hash", "[balancer]") {
    auto peers = ten_peers();
    peers[3].weight = 2;
    Group one(How::hash, peers);
    std::reverse(peers.begin(), peers.end());
    std::swap(peers[1], peers[5]);
    Group other(How::hash, peers);
    for (const std::uint64_t key : keys())
        if (one.owner(key) != other.owner(key)) FAIL(key);
}

TEST_CASE("hash spreads keys evenly", "[balancer]") {
    Group group(How::hash, ten_peers());
    std::map<std::string, int> shares;
    for (const std::uint64_t key : keys()) ++shares[group.owner(key)];
    REQUIRE(shares.size() == 10);
    for (const auto& [name, count] : shares) {
        CAPTURE(name);
        CHECK(count > 600);
        CHECK(count < 1'500);
    }
}

TEST_CASE("without one of ten peers only its own keys move, and they move to many others", "[balancer]") {
    Group before(How::hash, ten_peers());
    auto nine = ten_peers();
    nine.erase(nine.begin() + 4);
    Group after(How::hash, nine);
    int moved = 0;
    std::set<std::string> heirs;
    for (const std::uint64_t key : keys()) {
        const auto owner = before.owner(key);
        const auto heir = after.owner(key);
        if (owner == heir) continue;
        if (owner != "10.0.0.5:80") FAIL("a key of " << owner << " moved");
        ++moved;
        heirs.insert(heir);
    }
    CHECK(moved > 700);
    CHECK(moved < 1'300);
    CHECK(heirs.size() > 5);  // who stands behind one of its points
}

TEST_CASE("a peer that cannot be asked leaves its keys to those who would have them without it",
          "[balancer]") {
    auto nine = ten_peers();
    nine.erase(nine.begin() + 4);
    Group without(How::hash, nine);
    Group ejected(How::hash, ten_peers());
    ejected.eject('e');
    auto with_down = ten_peers();
    with_down[4].down = true;
    Group is_down(How::hash, with_down);
    for (const std::uint64_t key : keys()) {
        const auto heir = without.owner(key);
        if (ejected.owner(key) != heir || is_down.owner(key) != heir) FAIL(key);
    }
}

TEST_CASE("a retry of a key asks the same second peer each time", "[balancer]") {
    Group group(How::hash, ten_peers());
    const std::uint64_t key = hash_of("/a");
    group.ask(group.next(key));
    const auto second = group.owner(key);
    CHECK(group.owner(key) == second);
}

TEST_CASE("hash gives a peer keys by its weight", "[balancer]") {
    Group group(How::hash, {peer(1, 1), peer(2, 2), peer(3, 5)});
    std::map<std::string, int> shares;
    for (const std::uint64_t key : keys()) ++shares[group.owner(key)];
    CHECK(std::abs(shares["10.0.0.1:80"] - 1'250) < 400);
    CHECK(std::abs(shares["10.0.0.2:80"] - 2'500) < 600);
    CHECK(std::abs(shares["10.0.0.3:80"] - 6'250) < 800);
}

TEST_CASE("weights with a common factor are the same ring", "[balancer]") {
    Group small(How::hash, {peer(1, 1), peer(2, 3)});
    Group large(How::hash, {peer(1, 1'000), peer(2, 3'000)});
    for (const std::uint64_t key : keys())
        if (small.owner(key) != large.owner(key)) FAIL(key);
}

TEST_CASE("the extreme keys have an owner, as all have", "[balancer]") {
    Group group(How::hash, ten_peers());
    CHECK(group.next(0) != '-');
    CHECK(group.next(~std::uint64_t{0}) != '-');
}

TEST_CASE("backups get their keys by the same ring", "[balancer]") {
    Group group(How::hash, {down(1), backup(2), backup(3), backup(4)});
    std::set<char> seen;
    for (std::uint64_t key = 0; key < 100; ++key) seen.insert(group.next(hash_of(std::to_string(key))));
    CHECK(seen == std::set{'b', 'c', 'd'});
}

TEST_CASE("the hash of a key is the same in every build and on every machine", "[balancer]") {
    CHECK(hash_of("") == 0xf52a15e9a9b5e89b);
    CHECK(hash_of("a") == 0x02c0bdbf481420f8);
    CHECK(hash_of("/item/1") == 0xb4031f4b6df43810);
    CHECK(hash_of("\xc3\xbc") == 0x772d5ffdbcb8f81a);
}
