#include "worker/listener/acceptor.h"

#include <sys/socket.h>

#include <cerrno>

namespace worker::listener {
namespace {

constexpr int burst_max = 32;                   // connections a turn: those that are open want their turn too
constexpr std::chrono::milliseconds behind(5);  // how long nobody is given more than they can take

}  // namespace

bool concerns_one_connection(int error) noexcept {
    switch (error) {
        case EINTR:
        case ECONNABORTED:
        case EPERM:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH: return true;
        default: return false;
    }
}

LoopAcceptor::LoopAcceptor(connection::Reception& reception, ipc::UniqueFd socket, std::uint32_t address)
    : reception_(reception),
      socket_(std::move(socket)),
      address_(address),
      readable_(ipc::Event::calling<&LoopAcceptor::on_readable>(this, reception.loop().base(), socket_.get(),
                                                                EV_READ | EV_PERSIST)),
      pause_over_(ipc::Event::timer<&LoopAcceptor::on_pause_over>(this, reception.loop().base())) {
    readable_.arm();
}

void LoopAcceptor::stop() {
    readable_.disarm();
    pause_over_.disarm();
    for (int taken = 0; socket_ && taken < farewell_max; ++taken) {
        const Took took = take();
        if (took == Took::nothing_left || took == Took::no_room) break;
    }
    socket_.reset();
}

void LoopAcceptor::on_readable(short) {
    reception_.loop().enter();
    for (int taken = 0; taken < burst_max; ++taken) {
        if (!reception_.has_room()) {
            readable_.disarm();
            return pause_over_.arm(behind);
        }
        switch (take()) {
            case Took::one: pause_.over(); break;
            case Took::none: break;
            case Took::nothing_left: return;
            case Took::no_room:
                reception_.loop().cell().accept_pauses.add();
                readable_.disarm();
                return pause_over_.arm(pause_.next());
        }
    }
}

void LoopAcceptor::on_pause_over(short) { readable_.arm(); }

LoopAcceptor::Took LoopAcceptor::take() {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    ipc::UniqueFd socket(
        ::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
        reception_.open(std::move(socket), connection::Peer::from(from), address_);
        return Took::one;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Took::nothing_left;
    if (errno == EINVAL) {  // the master has closed it for everyone, and will tell us to let go
        readable_.disarm();
        return Took::nothing_left;
    }
    return concerns_one_connection(errno) ? Took::none : Took::no_room;
}

}  // namespace worker::listener
