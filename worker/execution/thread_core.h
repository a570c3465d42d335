// worker/execution/thread_core.h: what a pool of threads and its threads share.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "worker/execution/standing_line.h"
#include "worker/execution/thread_pool.h"

namespace worker::execution {

/// A job on its way.
struct ThreadTicket final : StandingLine::Place {
    enum class State : std::uint8_t { waiting, running, over };

    ThreadCore* core = nullptr;             ///< outlives whoever may still ask
    ThreadPool::Errand* errand = nullptr;   ///< its loop's; null: nobody wants to hear
    State state = State::waiting;           ///< this and what follows: under the core's mutex
    std::shared_ptr<ThreadJob> job;         ///< until a thread has it
    std::shared_ptr<Mailbox> mail;          ///< until it is told
    std::shared_ptr<ThreadTicket> waiting;  ///< itself, while it is in the line
};

/// One mutex, threads that wait for work, and one that watches the time. Owned by the pool and every thread
/// that takes jobs, so that one which never comes back has something to come back to.
class ThreadCore final : public std::enable_shared_from_this<ThreadCore> {
 public:
    ThreadCore(ThreadPool::Limits limits, const ThreadPool::Account& account, ThreadPool::Lodging lodging);
    ThreadCore(const ThreadCore&) = delete;
    ThreadCore& operator=(const ThreadCore&) = delete;

    [[nodiscard]] ipc::Result<void> start();
    /// The last that the pool calls. Nothing is told or counted from then on.
    void close();

    void submit(ThreadPool::Errand& errand, std::shared_ptr<ThreadJob> job);
    void cancel(ThreadTicket& ticket) noexcept;
    [[nodiscard]] const std::string& name() const noexcept { return limits_.name; }
    [[nodiscard]] ipc::ThreadUse use() const;

 private:
    using Ticket = std::shared_ptr<ThreadTicket>;
    /// A thread at work.
    struct Run {
        const ThreadPool::Note& note;
        std::uint64_t begun_us;
        Ticket ticket;  ///< none once it is stuck
        bool stuck = false;
    };
    using Lock = std::unique_lock<std::mutex>;

    [[nodiscard]] bool add_thread();
    void live(ThreadPool::Note& note);
    void work(Lock& lock, ThreadPool::Note& note, Ticket ticket);
    [[nodiscard]] Ticket take();
    void watch();
    void look(std::uint64_t now);
    void look_by(std::uint64_t due_us);
    void refuse_late(std::uint64_t now);
    void give_up(Run& run);
    void count_over(std::uint64_t took_us, bool threw);
    void publish();
    [[nodiscard]] ipc::ThreadUse numbers() const noexcept;
    [[nodiscard]] bool surplus() const noexcept { return threads_ - stuck_ > limits_.threads; }
    [[nodiscard]] bool short_of() const noexcept {
        return threads_ - stuck_ < limits_.threads && threads_ < limits_.threads_max;
    }
    [[nodiscard]] std::uint64_t usual_us() const noexcept { return over_ > 0 ? busy_us_ / over_ + 1 : 0; }
    static void tell(Ticket ticket, ThreadOutcome outcome);

    const ThreadPool::Limits limits_;
    const std::uint64_t timeout_us_;
    const ThreadPool::Account account_;
    const ThreadPool::Lodging lodging_;
    std::thread watcher_;

    mutable std::mutex mutex_;  ///< for all that follows
    std::condition_variable work_came_, look_earlier_, thread_left_;
    StandingLine line_;
    std::list<Run> running_;
    std::uint32_t threads_ = 0, stuck_ = 0;
    std::uint64_t busy_us_ = 0, over_ = 0;
    std::uint64_t look_us_ = 0;     ///< when the watcher looks again
    std::uint64_t may_add_us_ = 0;  ///< no thread before: the last one could not be started
    bool closed_ = false;
};

}  // namespace worker::execution
