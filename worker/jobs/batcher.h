// worker/jobs/batcher.h: the store and its thread: what arrives while a batch is stored is the next batch,
// with whoever comes back at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/event.h"
#include "ipc/result.h"
#include "worker/execution/loop.h"
#include "worker/execution/mailbox.h"
#include "worker/jobs/gathering.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/store.h"
#include "worker/jobs/tally.h"

namespace worker::jobs {

// closed ──open──▶ opening ──▶ open ──close──▶ closing ──▶ closed
//    ▲────cannot─────┘
/// Loop thread only, but for what is said. Operations that change something are stored in the order they
/// were submitted in; those that only read may overtake them, are never in one batch with them, and have
/// bounds of their own: however many there are, what changes something finds room. What looks at many jobs
/// (Purge, Expire, Recover) is a batch alone: should it take too long, nobody fails with it.
class Batcher final : public Keeping {
 public:
    struct Bounds {
        std::size_t operations = 16 * 1024;      ///< of each kind that wait, with those under way
        std::size_t bytes = 256u << 20;          ///< of those that change something, as `weight` has it
        std::size_t reading_bytes = 160u << 20;  ///< of those that only read: two of the largest
        std::size_t batch_operations = 1024;
        std::size_t batch_bytes = 32u << 20;
        std::size_t read_operations = 64;  ///< of those that only read, as a batch of others waits for them
        std::size_t read_bytes = 8u << 20;
        /// What could not be begun for so long is refused: whoever asked has given up. 0: never. Sooner
        /// where it was said for how long somebody waits.
        std::chrono::milliseconds wait{0};
    };
    /// Called on the store's thread, and so is all that the store does.
    using Open = std::function<ipc::Result<std::unique_ptr<Store>>()>;

    Batcher(execution::Loop& loop, Tally& tally, const Bounds& bounds);
    Batcher(const Batcher&) = delete;
    Batcher& operator=(const Batcher&) = delete;
    /// Waits for the batch under way; whoever waits for an answer hears nothing.
    ~Batcher() override;

    /// While it is closed. `done` is told whether it is open now.
    void open(Open open, std::function<void(const ipc::Result<void>&)> done);
    /// Takes nothing more, stores what it has, and ends the store; then `done` is called.
    void close(std::function<void()> done);
    [[nodiscard]] bool is_open() const noexcept { return state_ == State::open; }

    void submit(Operation operation, Answered answered) override {
        submit_until(std::move(operation), 0, std::move(answered));
    }
    void submit_until(Operation operation, std::uint64_t until_ms, Answered answered) override;
    /// Of each that is stored, before whoever asked for it hears.
    void when_stored(std::function<void(const Operation&)> told) { stored_ = std::move(told); }
    /// That have no answer yet.
    [[nodiscard]] std::size_t pending() const noexcept { return changing_.pending + reading_.pending; }

 private:
    enum class State : std::uint8_t { closed, opening, open, closing };
    static constexpr std::uint64_t never = ~std::uint64_t{0};
    struct Waiting {
        std::vector<Operation> operations;
        std::vector<Answered> answers;
        std::vector<std::uint64_t> until_ms;   ///< CLOCK_MONOTONIC: later it is refused
        std::uint64_t first_until_ms = never;  ///< none of these is sooner
        std::size_t pending = 0, bytes = 0;    ///< with those under way
        /// Behind batches that failed: so that a full disk does not cost a processor, too.
        std::uint64_t not_before_ms = 0;
        std::chrono::milliseconds pause{0};
        [[nodiscard]] bool due(std::uint64_t now) const noexcept {
            return !operations.empty() && not_before_ms <= now;
        }
        void note(bool stored, std::uint64_t now) noexcept;
        void add(Operation&& operation, Answered&& answered, std::uint64_t until, std::size_t its_bytes);
        void forget(const Operation& operation) noexcept;
        /// Leaves those for the next batch that this one has no room for.
        [[nodiscard]] Waiting take(std::size_t operations_max, std::size_t bytes_max);
        /// Those whose time is over.
        [[nodiscard]] Waiting take_late(std::uint64_t now);
    };
    /// For the thread.
    struct Order {
        Open open;
        std::vector<Operation> batch;
        bool close = false;
    };

    void live();
    void give(Order order);
    void next();
    void refuse(Operation&& operation, Answered&& answered, const char* why);
    void refuse_late(Waiting& of, std::uint64_t now);
    void on_again(short what);
    void on_opened(const ipc::Result<void>& opened);
    void on_stored(std::vector<Operation> batch, const ipc::Result<void>& stored, const StoreFigures& figures,
                   std::uint64_t took_us);
    void on_closed();

    execution::Loop& loop_;
    Tally& tally_;
    Bounds bounds_;
    State state_ = State::closed;
    bool busy_ = false;       ///< the thread has a batch
    bool read_last_ = false;  ///< it was of those that only read
    Waiting changing_, reading_;
    Gathering gathering_;  ///< of those that change something
    std::vector<Answered> under_way_;
    std::uint64_t failure_told_ms_ = 0;
    std::uint64_t syncs_ = 0;  ///< of the store, when it was asked last
    std::function<void(const ipc::Result<void>&)> opened_;
    std::function<void()> closed_;
    std::function<void(const Operation&)> stored_;
    execution::Mailbox mailbox_;
    ipc::Event again_;

    std::mutex mutex_;
    std::condition_variable rung_;
    std::vector<Order> orders_;  ///< under the mutex; one at most, or the last one
    bool over_ = false;          ///< likewise
    std::thread thread_;
};

}  // namespace worker::jobs
