// worker/upstream/watched_name.cpp: who comes into a place is checked, who leaves it is not any more.
#include "worker/upstream/watched_name.h"

#include <arpa/inet.h>

#include <array>
#include <utility>

namespace worker::upstream {

conf::UpstreamPeer peer_in_place(const conf::UpstreamPeer& name, const ipc::NameAddress& address) {
    std::array<char, INET6_ADDRSTRLEN> host{};
    const bool is_ipv6 = address.family == 6;
    ::inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address.bytes.data(), host.data(), host.size());
    conf::UpstreamPeer peer = name;
    peer.address = {is_ipv6 ? conf::Address::Family::ipv6 : conf::Address::Family::ipv4, host.data(),
                    address.port};
    peer.weight = name.weight * address.weight;
    peer.backup = name.backup || address.backup != 0;
    return peer;
}

WatchedName::WatchedName(const Surroundings& around, std::function<void()> on_change)
    : around_(around),
      on_change_(std::move(on_change)),
      checks_(around.peer.peers_max),
      names_(around, [this] {
          follow();
          on_change_();
      }) {}

void WatchedName::begin_checks() {
    if (!std::exchange(checking_, true)) follow();
    for (Check& check : checks_)
        if (check.watch) check.watch->begin();
}

void WatchedName::follow() {
    if (!checking_ || around_.upstream.health.how == conf::HealthCheck::How::off || around_.peer.down) return;
    const auto& places = names_.places();
    for (std::size_t number = 0; number < checks_.size(); ++number) {
        Check& check = checks_[number];
        if (places[number].same_peer(check.address)) continue;
        check.watch.reset();
        check.address = places[number];
        if (!check.address) continue;
        const auto index = around_.board.place(around_.upstream.name, around_.peer.text(),
                                               static_cast<std::uint32_t>(number));
        if (index == 0) continue;  // the scoreboard is full: it is asked, and not checked
        check.watch = std::make_unique<HealthWatch>(around_.upstream,
                                                    peer_in_place(around_.peer, check.address), around_.loop,
                                                    around_.board.peer_cell(index).health, around_.checks);
        if (around_.checks.held()) check.watch->begin();
    }
}

}  // namespace worker::upstream
