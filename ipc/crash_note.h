// ipc/crash_note.h: what a dying worker leaves in shared memory for its master to read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ipc/shared_text.h"

namespace ipc {

/// Written by a signal handler: atomic stores only. Master and worker are one program image, so that the
/// master can name the addresses.
class CrashNote {
 public:
    static constexpr std::size_t frames_max = 32;

    /// What the handler saw.
    struct Signal {
        int number = 0;             ///< 0: nothing was noted
        int code = 0;               ///< si_code
        std::uint64_t address = 0;  ///< si_addr, of a fault
        int system_call = -1;       ///< of SIGSYS: the call that the sandbox refused
        int executor = -1;          ///< which loop or thread of the worker it was; -1: none of them
    };

    /// Of a thread of a pool: which pool, and what it was doing.
    struct Task {
        std::string_view pool, about;
    };

    /// Async-signal-safe. Only the first note of a life counts.
    void write(const Signal& signal, std::span<void* const> frames, const Task& task = {"", ""}) noexcept;
    /// Before the next worker takes the place.
    void clear() noexcept { number_.store(0, std::memory_order_relaxed); }

    /// After the writer's death.
    [[nodiscard]] Signal signal() const noexcept;
    /// Into `frames`; how many there are.
    std::size_t frames(std::span<void*, frames_max> frames) const noexcept;
    /// Empty: it was no thread of a pool.
    [[nodiscard]] std::string pool() const;
    [[nodiscard]] std::string about() const;

 private:
    std::atomic<std::int32_t> number_{0}, code_{0}, system_call_{-1}, executor_{-1};
    std::atomic<std::uint32_t> frame_count_{0};
    std::atomic<std::uint64_t> address_{0};
    std::array<std::atomic<std::uint64_t>, frames_max> frames_{};
    SharedText<64> pool_;
    SharedText<192> about_;
};

}  // namespace ipc
