#include "worker/connection/connections.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace worker::connection {
namespace {

constexpr std::size_t spare_outputs_max = 64;

Connection& connection_of(execution::Link* link) {
    return static_cast<Connection&>(static_cast<Registered&>(*link));
}

}  // namespace

Connections::Connections(execution::Loop& loop, SessionFactory& factory, std::size_t input_bytes,
                         Census& census)
    : loop_(loop), factory_(&factory), census_(census) {
    input_.memory.resize(input_bytes);
}

Connections::~Connections() {
    bury();
    while (open_.linked()) {
        delete &connection_of(open_.next());
        census_.leave();
    }
}

void Connections::open(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address) {
    ipc::LoopCell& cell = loop_.cell();
    cell.accepted.add();
    if (!census_.enter(address)) {
        cell.refused.add();
        return turn_away(socket);
    }
    add(std::move(socket), peer, address, census_.next_id(), {});
}

void Connections::take_in(Traveller traveller) {
    add(std::move(traveller.socket), traveller.peer, traveller.address, traveller.id, traveller.memory);
}

void Connections::add(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address, std::uint64_t id,
                      const Memory& memory) {
    auto* connection = new Connection(*this, std::move(socket), peer, address, id);
    connection->Registered::join(open_);
    ++size_;
    loop_.cell().connections.set(size_);
    connection->start(factory_->make(*connection, memory));
}

void Connections::drain() {
    execution::Link visited;
    // A connection may retire itself while we walk: it leaves either ring by itself.
    while (open_.linked()) {
        Connection& connection = connection_of(open_.next());
        connection.Registered::join(visited);
        connection.drain();
    }
    while (visited.linked()) visited.next()->join(open_);
}

std::unique_ptr<Output> Connections::borrow_output() {
    if (outputs_.empty()) return std::make_unique<Output>();
    std::unique_ptr<Output> output = std::move(outputs_.back());
    outputs_.pop_back();
    return output;
}

void Connections::give_back(std::unique_ptr<Output> output) {
    if (outputs_.size() < spare_outputs_max) outputs_.push_back(std::move(output));
}

void Connections::retire(Connection& connection) {
    if (!connection.has_left()) census_.leave();
    connection.Registered::unlink();
    --size_;
    loop_.cell().connections.set(size_);
    if (retired_.empty()) loop_.after_turn([this] { bury(); });
    retired_.push_back(&connection);
}

void Connections::depart(Connection& connection) {
    if (!when_leaving_) std::abort();
    when_leaving_(connection.leave());
}

void Connections::bury() {
    if (retired_.empty()) return;
    for (const Connection* connection : retired_) delete connection;
    retired_.clear();
    if (when_closed_) when_closed_();
}

}  // namespace worker::connection
