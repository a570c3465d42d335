// ipc/scoreboard.h: counters, heartbeats and requests in flight, in memory that master and workers share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/result.h"

namespace ipc {

/// One writer each, any reader: relaxed atomics, no lock that a dying process could hold.
class Counter {
 public:
    /// Only the owner of the cell calls this: a load and a store, no locked instruction.
    void add(std::uint64_t amount = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t amount = 1) noexcept { add(0 - amount); }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> value_{0};
};

/// What a loop is doing for whom, so that a crash can be pinned on a request.
/// A seqlock of one writer: the sequence is odd while the text changes.
class InFlight {
 public:
    static constexpr std::size_t text_max = 192;

    /// Loop thread. Begins a request: "GET /path" cut at `text_max`.
    void begin(std::string_view method, std::string_view target) noexcept;
    /// Loop thread. The loop went on to something else.
    void end() noexcept { length_.store(0, std::memory_order_relaxed); }
    /// Any process, also after the writer's death. Empty: no request was running.
    /// Printable ASCII only: what else a client sent, or what a crash left half written, reads as '?'.
    [[nodiscard]] std::string text() const;

 private:
    using Words = std::array<std::uint64_t, text_max / sizeof(std::uint64_t)>;

    std::atomic<std::uint32_t> sequence_{0};
    std::atomic<std::uint32_t> length_{0};
    std::array<std::atomic<std::uint64_t>, std::tuple_size_v<Words>> words_{};  ///< eight characters each
};

/// One event loop's cell; `alignas` keeps neighbours from sharing a cache line.
struct alignas(128) LoopCell {
    Counter heartbeat_ms;             ///< CLOCK_MONOTONIC of the last turn
    Counter connections;              ///< open now
    Counter accepted;                 ///< ever
    Counter requests;                 ///< ever, answered or not
    std::array<Counter, 6> statuses;  ///< by hundreds; [0] those closed without an answer
    Counter bytes_in, bytes_out;
    Counter refused;         ///< connections over `connections_max`
    Counter accept_pauses;   ///< times accepting stopped for want of descriptors
    Counter log_lines_lost;  ///< access log lines dropped: disk full or slow
    Counter slow_turns;      ///< turns of the loop longer than 200 ms
    InFlight in_flight;
};

/// A slot's state as the master sees it.
enum class SlotState : std::uint8_t { empty, starting, ready, stuck, draining, backing_off };
[[nodiscard]] std::string_view name(SlotState state);

/// One worker's cell. Counters go on over the deaths of the worker in it.
struct WorkerCell {
    LoopCell loop;
};

/// Cells for `slots` workers in one anonymous shared mapping, inherited by fork; it is zero at first.
class Scoreboard {
 public:
    [[nodiscard]] static Result<Scoreboard> make(std::uint32_t slots);

    Scoreboard(const Scoreboard&) = delete;
    Scoreboard& operator=(const Scoreboard&) = delete;
    Scoreboard(Scoreboard&& other) noexcept;
    Scoreboard& operator=(Scoreboard&& other) noexcept;
    ~Scoreboard();

    [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
    [[nodiscard]] WorkerCell& worker(std::uint32_t slot) noexcept;
    [[nodiscard]] const WorkerCell& worker(std::uint32_t slot) const noexcept;

 private:
    Scoreboard(void* memory, std::uint32_t slots) noexcept : memory_(memory), slots_(slots) {}

    void* memory_ = nullptr;
    std::uint32_t slots_ = 0;
};

}  // namespace ipc
