#include "worker/dispatch/handler_threads.h"

#include <algorithm>
#include <cstdlib>
#include <latch>
#include <mutex>
#include <thread>
#include <utility>

namespace worker::dispatch {
namespace {

using Kept = connection::Ref<connection::Shared>;
constexpr std::chrono::milliseconds clear_every(1000);

/// References that were lent with a response and are not needed any more: only the thread that counts them
/// may let go of them.
class Returns {
 public:
    /// Any thread.
    void put(Kept kept) {
        const std::lock_guard lock(mutex_);
        kept_.push_back(std::move(kept));
    }
    /// The thread that they belong to.
    void clear() {
        {
            const std::lock_guard lock(mutex_);
            clearing_.swap(kept_);
        }
        clearing_.clear();
    }

 private:
    std::mutex mutex_;
    std::vector<Kept> kept_, clearing_;
};

/// Stands for such a reference while the loop sends: the loop counts it, and moves what is inside as it is.
class Loan final : public connection::Shared {
 public:
    Loan(Kept kept, Returns& returns) : kept_(std::move(kept)), returns_(returns) {}
    ~Loan() override { returns_.put(std::move(kept_)); }

 private:
    Kept kept_;
    Returns& returns_;
};

void lend(Kept& kept, Returns& returns) {
    if (kept) kept = Kept(new Loan(std::move(kept), returns));
}

void lend(http::Response& response, Returns& returns) {
    lend(response.keeper, returns);
    for (connection::Chunk& chunk : response.body) lend(chunk.keeper, returns);
}

}  // namespace

struct HandlerThreads::Thread {
    explicit Thread(std::uint32_t of) : number(of) {}
    const std::uint32_t number;
    execution::Mailbox mailbox;
    Returns returns;
    std::unique_ptr<ThreadRooms> rooms;
    std::thread thread;

    /// In the thread: also when nothing is asked of it, files that nobody sends any more are closed.
    void on_clear(short) {
        rooms->loop().enter();
        returns.clear();
        clear.arm(clear_every);
    }
    ipc::Event clear;
};

/// A request that was given to us.
struct HandlerThreads::Job final : Waiting {
    Job(HandlerThreads& of, http::Exchange& asked) : owner(of), exchange(asked) {}
    void on_late() noexcept override { owner.refuse(exchange); }

    HandlerThreads& owner;
    http::Exchange& exchange;
};

HandlerThreads::HandlerThreads(execution::Loop& loop, std::uint32_t threads, const Patience& patience,
                               Furnish furnish)
    : loop_(loop), line_(loop, patience, "requests") {
    home_.attach(loop);
    std::latch ready(threads);
    for (std::uint32_t number = 0; number < threads; ++number) {
        Thread& thread = *threads_.emplace_back(std::make_unique<Thread>(number));
        thread.thread = std::thread([&thread, &ready, furnish] {
            thread.rooms = furnish(thread.number);
            thread.mailbox.attach(thread.rooms->loop());
            ready.count_down();
            thread.clear = ipc::Event::timer<&Thread::on_clear>(&thread, thread.rooms->loop().base());
            thread.clear.arm(clear_every);
            thread.rooms->loop().run();
            thread.clear = ipc::Event();
            thread.mailbox.detach();
            thread.rooms->leave();
        });
        idle_.push_back(threads - 1 - number);
    }
    ready.wait();
}

HandlerThreads::~HandlerThreads() {
    stop();
    for (const auto& thread : threads_) {
        thread->returns.clear();
        thread->rooms.reset();
    }
}

void HandlerThreads::stop() {
    for (const auto& thread : threads_)
        if (thread->thread.joinable())
            thread->mailbox.post([loop = &thread->rooms->loop()] { loop->stop(); });
    for (const auto& thread : threads_)
        if (thread->thread.joinable()) thread->thread.join();
    home_.detach();
}

void HandlerThreads::handle(http::Exchange& exchange) {
    exchange.request.keep();  // the loop reads other requests into the same memory
    auto& job = jobs_[&exchange];
    job = std::make_unique<Job>(*this, exchange);
    exchange.lend(*this, *this);
    if (!idle_.empty()) {
        const std::uint32_t to = idle_.back();
        idle_.pop_back();
        return send_later(*job, to);
    }
    exchange.queued = line_.join(*job);
    if (!exchange.queued) refuse(exchange);
}

/// Not before the turn is over: until then the protocol still looks at it.
void HandlerThreads::send_later(Job& job, std::uint32_t to) {
    job.exchange.queued = false;
    if (to_send_.empty()) loop_.after_turn([this] { send(); });
    to_send_.emplace_back(&job.exchange, to);
}

void HandlerThreads::send() {
    for (const auto& [exchange, to] : to_send_) {
        Thread& thread = *threads_[to];
        thread.mailbox.post([this, &thread, exchange = exchange] { work(thread, *exchange); });
    }
    to_send_.clear();
}

/// In the thread.
void HandlerThreads::work(Thread& thread, http::Exchange& exchange) {
    thread.returns.clear();
    const auto left_over = thread.rooms->handle(exchange);
    lend(exchange.response, thread.returns);
    home_.post(
        [this, number = thread.number, &exchange, left_over] { on_done(number, exchange, left_over); });
}

void HandlerThreads::on_done(std::uint32_t thread, http::Exchange& exchange,
                             std::optional<std::size_t> left_over) {
    jobs_.erase(&exchange);
    if (Waiting* next = line_.next())
        send_later(static_cast<Job&>(*next), thread);
    else
        idle_.push_back(thread);
    if (exchange.come_back() && left_over) handlers_[*left_over]->handle(exchange);
}

void HandlerThreads::refuse(http::Exchange& exchange) {
    jobs_.erase(&exchange);
    (void)exchange.come_back();
    exchange.response.add_field("Retry-After", "1");
    exchange.refuse(503);
}

void HandlerThreads::on_gone(http::Exchange& exchange) {
    const auto found = jobs_.find(&exchange);
    if (found == jobs_.end() || !found->second->linked()) return;  // somebody works on it
    line_.quit(*found->second);
    jobs_.erase(found);
    (void)exchange.come_back();
}

// Only handlers that answer in one go are run here.
void HandlerThreads::on_begun(http::Exchange&) { std::abort(); }
void HandlerThreads::on_piece(http::Exchange&, const connection::Chunk&) { std::abort(); }

}  // namespace worker::dispatch
