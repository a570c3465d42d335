#include "worker/listener/turn_acceptor.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "worker/listener/thread_acceptor.h"

namespace worker::listener {
namespace {

constexpr std::chrono::milliseconds say_again(5);

ipc::UniqueFd made(int descriptor) {
    if (descriptor < 0) std::abort();
    return ipc::UniqueFd(descriptor);
}

}  // namespace

TurnAcceptor::TurnAcceptor(connection::Reception& reception)
    : reception_(reception),
      ready_(made(::epoll_create1(EPOLL_CLOEXEC))),
      call_(made(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))),
      accepted_fd_(made(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))),
      accepted_(ipc::Event::calling<&TurnAcceptor::on_accepted>(this, reception.loop().base(),
                                                                accepted_fd_.get(), EV_READ | EV_PERSIST)) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = -1;
    ::epoll_ctl(ready_.get(), EPOLL_CTL_ADD, call_.get(), &event);
    accepted_.arm();
    thread_ = std::thread([this] { run(); });
}

TurnAcceptor::~TurnAcceptor() { stop(); }

void TurnAcceptor::add(ipc::SeatListener listener) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    event.data.fd = listener.socket.get();
    const std::lock_guard lock(mutex_);
    ::epoll_ctl(ready_.get(), EPOLL_CTL_ADD, listener.socket.get(), &event);
    listeners_.push_back(std::make_shared<const ipc::SeatListener>(std::move(listener)));
}

void TurnAcceptor::release(std::uint32_t queue) {
    const std::lock_guard lock(mutex_);
    std::erase_if(listeners_, [&](const auto& listener) {
        if (!listener->adopted || listener->queue != queue) return false;
        ::epoll_ctl(ready_.get(), EPOLL_CTL_DEL, listener->socket.get(), nullptr);
        return true;
    });
}

void TurnAcceptor::next() {
    {
        const std::lock_guard lock(mutex_);
        turn_ = true;
    }
    changed_.notify_one();
}

void TurnAcceptor::run() {
    Pause pauses;
    while (wait_for_turn()) {
        epoll_event event{};
        if (::epoll_wait(ready_.get(), &event, 1, -1) != 1) continue;
        if (event.data.fd < 0) {  // `stop` is seen above
            eventfd_t calls = 0;
            ::eventfd_read(call_.get(), &calls);
            continue;
        }
        const auto from = find(event.data.fd);
        const int error = from ? take(*from) : EAGAIN;
        if (error == 0) {
            pauses.over();
            ::eventfd_write(accepted_fd_.get(), 1);
        } else if (error == EINVAL) {  // the master has closed it for everyone, and will tell us to let go
            ::epoll_ctl(ready_.get(), EPOLL_CTL_DEL, event.data.fd, nullptr);
        } else if (error != EAGAIN && !concerns_one_connection(error)) {
            std::unique_lock lock(mutex_);
            ++pauses_;
            ::eventfd_write(accepted_fd_.get(), 1);
            changed_.wait_for(lock, pauses.next(), [this] { return stopping_.load(); });
        }
    }
    take_any();
    stopped_.store(true);
}

/// False: it is over.
bool TurnAcceptor::wait_for_turn() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return turn_ || stopping_.load(); });
    return !stopping_.load();
}

std::shared_ptr<const ipc::SeatListener> TurnAcceptor::find(int descriptor) {
    const std::lock_guard lock(mutex_);
    for (const auto& listener : listeners_)
        if (listener->socket.get() == descriptor) return listener;
    return nullptr;
}

/// A socket that a reload left to us may block: then somebody else was faster, and `stop` interrupts.
int TurnAcceptor::take(const ipc::SeatListener& from) {
    pollfd queue{from.socket.get(), POLLIN, 0};
    if (::poll(&queue, 1, 0) <= 0) return EAGAIN;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    ipc::UniqueFd socket(::accept4(from.socket.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return errno;
    const std::lock_guard lock(mutex_);
    turn_ = false;
    taken_.push_back({std::move(socket), connection::Peer::from(peer), from.address});
    return 0;
}

/// What waits in queues would be lost with the last process that leaves.
void TurnAcceptor::take_any() {
    std::vector<std::shared_ptr<const ipc::SeatListener>> all;
    {
        const std::lock_guard lock(mutex_);
        all = listeners_;
    }
    for (const auto& listener : all)
        for (int count = 0; count < farewell_max && take(*listener) == 0;) ++count;
}

void TurnAcceptor::on_accepted(short) {
    reception_.loop().enter();
    eventfd_t told = 0;
    ::eventfd_read(accepted_fd_.get(), &told);
    std::vector<Accepted> taken;
    std::uint64_t pauses = 0;
    {
        const std::lock_guard lock(mutex_);
        taken.swap(taken_);
        pauses = std::exchange(pauses_, 0);
    }
    if (pauses > 0) reception_.loop().cell().accept_pauses.add(pauses);
    for (Accepted& one : taken) reception_.open(std::move(one.socket), one.peer, one.address);
}

void TurnAcceptor::stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    ::eventfd_write(call_.get(), 1);
    while (!stopped_.load()) {  // it may be in any of its calls
        changed_.notify_all();
        ::pthread_kill(thread_.native_handle(), interrupt_signal);
        std::this_thread::sleep_for(say_again);
    }
    thread_.join();
    accepted_.disarm();
    on_accepted(0);
    listeners_.clear();
}

}  // namespace worker::listener
