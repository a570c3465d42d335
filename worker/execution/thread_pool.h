// worker/execution/thread_pool.h: `[pool NAME] kind = thread`: threads for what would block a loop.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/pool_table.h"
#include "ipc/result.h"
#include "worker/execution/thread_desk.h"

namespace worker::execution {

/// What a thread is to do. Owned together by the pool and whoever asked, so who leaves first harms nobody:
/// it has all that it needs itself, and refers to nothing that may go. The pool lets go of it before it tells
/// `done` or `threw`; in every other case it may still be there, at work, and end in a thread.
class ThreadJob {
 public:
    virtual ~ThreadJob() = default;
    /// In a thread of the pool, or never. An exception that leaves it is the outcome `threw`.
    virtual void run() = 0;
    /// What the log calls it when it takes too long or crashes, such as a request; its first
    /// `ThreadPool::about_max` bytes. Asked once, in the thread, before `run`.
    [[nodiscard]] virtual std::string_view about() const noexcept { return {}; }
    /// Whose code it is, as `ipc::InFlight::module`; likewise. Empty: no module's.
    [[nodiscard]] virtual std::string_view module() const noexcept { return {}; }
};

enum class ThreadOutcome : std::uint8_t {
    done,    ///< it has run
    threw,   ///< it has run, and an exception left it
    full,    ///< refused: no room in the queue
    late,    ///< refused: it has waited for `queue_timeout`
    overdue  ///< it takes longer than `timeout`; it goes on unseen, for threads cannot be ended
};

class ThreadCore;
struct ThreadTicket;

/// One a process and pool, for all of its loops. A thread whose job takes too long is stuck: another one
/// takes its place, within `threads_max`, and it leaves when it comes back and is not needed any more. Who
/// waits is served as in `PoolQueue`.
class ThreadPool {
 public:
    static constexpr std::size_t about_max = 160;
    static constexpr std::size_t module_max = 96;

    struct Limits {
        std::string name;
        std::uint32_t threads = 4;
        std::uint32_t threads_max = 8;  ///< with those that are stuck
        std::uint32_t queue = 128;      ///< jobs that may wait
        std::chrono::milliseconds queue_timeout{10'000};
        std::chrono::milliseconds timeout{30'000};  ///< of one job, once it runs
    };

    /// Where it counts; the table must outlive the pool.
    struct Account {
        ipc::PoolTable& table;
        std::uint32_t pool = 0, row = 0;  ///< ours in it, and of this worker in the scoreboard
    };
    /// Written by one thread, read by it or by others while it is at its job.
    template <std::size_t Bytes>
    class NoteText {
     public:
        void set(std::string_view text) noexcept {
            const auto bytes = std::min(text.size(), Bytes);
            std::copy_n(text.data(), bytes, text_.data());
            bytes_.store(static_cast<std::uint32_t>(bytes), std::memory_order_release);
        }
        void clear() noexcept { bytes_.store(0, std::memory_order_relaxed); }
        [[nodiscard]] std::string_view get() const noexcept {
            return {text_.data(), bytes_.load(std::memory_order_acquire)};
        }

     private:
        std::array<char, Bytes> text_{};
        std::atomic<std::uint32_t> bytes_{0};  ///< 0: nothing
    };
    /// What a thread is at, written by it, for a crash handler that runs in it.
    struct Note {
        std::string pool;
        NoteText<about_max> about;
        NoteText<module_max> module;
    };
    /// Called in each thread, and has to call what it is given, which is that thread's life.
    using Lodging = std::function<void(const Note&, const std::function<void()>&)>;

    /// The asker's end, on its loop. One job at a time; then it may ask again.
    class Errand {
     public:
        /// `desk`: of the loop; must outlive it.
        explicit Errand(ThreadDesk& desk) noexcept : desk_(desk) {}
        Errand(const Errand&) = delete;
        Errand& operator=(const Errand&) = delete;
        virtual ~Errand() { cancel(); }

        /// Wants to hear no more. A job that waits is taken back and never begun; one that runs goes on
        /// unseen.
        void cancel() noexcept;
        [[nodiscard]] bool pending() const noexcept { return ticket_ != nullptr; }

     protected:
        /// Once a job, on the loop, on a later turn than `submit`; never after `cancel`. May ask again, or
        /// destroy the errand.
        virtual void on_over(ThreadOutcome outcome) = 0;

     private:
        friend class ThreadCore;
        ThreadDesk& desk_;
        std::shared_ptr<ThreadTicket> ticket_;  ///< of what is under way
    };

    /// Starts the threads. They block all signals.
    [[nodiscard]] static ipc::Result<std::unique_ptr<ThreadPool>> start(Limits limits, Account account,
                                                                        Lodging lodging = {});
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    /// Those that wait are forgotten. Waits for whom is at work, but not long: what is stuck is left behind.
    ~ThreadPool();

    /// Any loop of the process; `errand` has nothing under way. It is told when it is over. The pool outlives
    /// the desk of whoever asks.
    void submit(Errand& errand, std::shared_ptr<ThreadJob> job);

    [[nodiscard]] std::string_view name() const noexcept;
    [[nodiscard]] ipc::ThreadUse use() const;  ///< at this moment; any thread

 private:
    explicit ThreadPool(std::shared_ptr<ThreadCore> core);

    std::shared_ptr<ThreadCore> core_;  ///< owned with the threads: one that is stuck may outlive the pool
};

}  // namespace worker::execution
