#include "worker/connection/connections.h"

#include <sys/socket.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace worker::connection {
namespace {

constexpr std::size_t spare_outputs_max = 64;
constexpr std::string_view busy =
    "HTTP/1.1 503 Service Unavailable\r\nServer: reeve\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    "Connection: close\r\n\r\n";

Connection& connection_of(execution::Link* link) {
    return static_cast<Connection&>(static_cast<Registered&>(*link));
}

}  // namespace

Connections::Connections(execution::Loop& loop, SessionFactory& factory, std::size_t input_bytes, Room room)
    : loop_(loop), factory_(factory), room_(std::move(room)) {
    input_.memory.resize(input_bytes);
}

Connections::~Connections() {
    bury();
    while (open_.linked()) delete &connection_of(open_.next());
}

void Connections::open(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address) {
    ipc::LoopCell& cell = loop_.cell();
    cell.accepted.add();
    if (room_.max > 0 && size_ >= room_.max && !is_spared(address)) return refuse(socket);
    auto* connection = new Connection(*this, std::move(socket), peer, address, next_id_++);
    connection->Registered::join(open_);
    ++size_;
    cell.connections.set(size_);
    connection->start(factory_.make(*connection));
}

bool Connections::is_spared(std::uint32_t address) const noexcept {
    return address < room_.spared.size() && room_.spared[address] && size_ < room_.max + Room::spared_max;
}

/// Best effort: reads what the client has said, so that closing does not reset the answer away.
void Connections::refuse(const ipc::UniqueFd& socket) {
    loop_.cell().refused.add();
    (void)::send(socket.get(), busy.data(), busy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(socket.get(), SHUT_WR);
    (void)::recv(socket.get(), input_.memory.data(), input_.memory.size(), MSG_DONTWAIT);
}

void Connections::drain() {
    draining_ = true;
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
    connection.Registered::unlink();
    --size_;
    loop_.cell().connections.set(size_);
    if (retired_.empty()) loop_.after_turn([this] { bury(); });
    retired_.push_back(&connection);
}

void Connections::bury() {
    if (retired_.empty()) return;
    for (const Connection* connection : retired_) delete connection;
    retired_.clear();
    if (when_closed_) when_closed_();
}

}  // namespace worker::connection
