#include "worker/listener/thread_acceptor.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace worker::listener {
namespace {

constexpr std::size_t waiting_max = 256;  // more stay in the kernel's queue, for a worker that has time
constexpr std::chrono::milliseconds interrupt_again(5);

ipc::UniqueFd make_eventfd() {
    ipc::UniqueFd made(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!made) std::abort();
    return made;
}

}  // namespace

void prepare_interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // no SA_RESTART: the call is to end
    ::sigaction(interrupt_signal, &action, nullptr);
}

ThreadAcceptor::ThreadAcceptor(connection::Reception& reception, ipc::UniqueFd socket, std::uint32_t address)
    : reception_(reception),
      socket_(std::move(socket)),
      wake_(make_eventfd()),
      address_(address),
      handed_over_(ipc::Event::calling<&ThreadAcceptor::on_handed_over>(this, reception.loop().base(),
                                                                        wake_.get(), EV_READ | EV_PERSIST)) {
    handed_over_.arm();
    thread_ = std::thread([this] { run(); });
}

ThreadAcceptor::~ThreadAcceptor() { stop(); }

void ThreadAcceptor::run() {
    Pause pauses;
    while (!stopping_.load()) {
        const int error = take();
        if (error == 0) {
            pauses.over();
        } else if (error == EAGAIN) {  // a socket that came to us non-blocking
            pollfd queue{socket_.get(), POLLIN, 0};
            ::poll(&queue, 1, -1);
        } else if (!concerns_one_connection(error)) {
            pauses_.fetch_add(1, std::memory_order_relaxed);
            ::eventfd_write(wake_.get(), 1);  // the loop counts it now, not with the next connection
            pause(pauses.next());
        }
    }
    // What waits in the queue would be lost with the last worker that leaves. Somebody else may be faster
    // than we: then the interrupts that `stop` goes on sending end the call.
    pollfd queue{socket_.get(), POLLIN, 0};
    for (int taken = 0; taken<farewell_max&& ::poll(&queue, 1, 0)> 0; ++taken)
        if (take() != 0) break;
    stopped_.store(true);
}

/// Accepts one connection; returns errno when there was none.
int ThreadAcceptor::take() {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    ipc::UniqueFd socket(
        ::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return errno;
    hand_over(std::move(socket), connection::Peer::from(from));
    return 0;
}

/// Waits while the loop is behind: not accepting is how a busy worker leaves work to the others.
void ThreadAcceptor::hand_over(ipc::UniqueFd socket, const connection::Peer& peer) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.size() < waiting_max || stopping_.load(); });
    waiting_.push_back({std::move(socket), peer});
    if (waiting_.size() > 1) return;  // the loop has been told
    lock.unlock();
    ::eventfd_write(wake_.get(), 1);
}

void ThreadAcceptor::pause(std::chrono::milliseconds length) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, length, [this] { return stopping_.load(); });
}

void ThreadAcceptor::on_handed_over(short) {
    reception_.loop().enter();
    eventfd_t told = 0;
    ::eventfd_read(wake_.get(), &told);
    if (const std::uint64_t pauses = pauses_.exchange(0); pauses > 0)
        reception_.loop().cell().accept_pauses.add(pauses);
    serve_all();
}

void ThreadAcceptor::serve_all() {
    {
        const std::lock_guard lock(mutex_);
        serving_.swap(waiting_);
    }
    changed_.notify_one();
    for (Accepted& accepted : serving_) reception_.open(std::move(accepted.socket), accepted.peer, address_);
    serving_.clear();
}

void ThreadAcceptor::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true);
    }
    changed_.notify_all();
    // The signal may come between the thread's look at the flag and its call: say it again until it heard.
    while (!stopped_.load()) {
        ::pthread_kill(thread_.native_handle(), interrupt_signal);
        std::this_thread::sleep_for(interrupt_again);
    }
    thread_.join();
    handed_over_.disarm();
    serve_all();
    socket_.reset();
}

}  // namespace worker::listener
