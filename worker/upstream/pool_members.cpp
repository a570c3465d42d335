#include "worker/upstream/pool_members.h"

#include <chrono>
#include <string>

namespace worker::upstream {

conf::Upstream members_of(const conf::Pool& pool, const ipc::PoolTable& table, std::uint32_t index) {
    conf::Upstream members;
    members.name = "pool " + pool.name;
    members.keepalive = 0;
    members.eject_failures = 0;
    const std::uint32_t count = table.members(index);
    members.peers.reserve(count);
    for (std::uint32_t member = 0; member < count; ++member)
        members.peers.emplace_back().address = {conf::Address::Family::unix_path,
                                                table.address(index, member), 0};
    return members;
}

void name_members(Upstream& members, const conf::Pool& pool) {
    std::size_t member = 0;
    for (Peer& peer : members.peers())
        peer.name = *peer.names.insert(pool.name + "/" + std::to_string(member++)).first;
}

conf::Proxy task_terms(const conf::Proxy& terms) {
    conf::Proxy own = terms;
    constexpr conf::Milliseconds for_ever = std::chrono::hours(24 * 365);  // the task's own limit is earlier
    own.connect_timeout = own.read_timeout = own.send_timeout = for_ever;
    own.timeout = conf::Milliseconds(0);
    own.retries = 0;
    own.retry_statuses.clear();
    return own;
}

}  // namespace worker::upstream
