// ipc/crash_note.h: what a dying process leaves in shared memory for its master to read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipc/shared_text.h"

namespace ipc {

/// Written by a signal handler: atomic stores only. Master and worker are one program image, so that the
/// master can name the addresses; of those in shared objects that it does not have, the note says where they
/// are.
class CrashNote {
 public:
    static constexpr std::size_t frames_max = 32;
    static constexpr std::size_t objects_max = 8;

    /// What the handler saw.
    struct Signal {
        int number = 0;             ///< 0: nothing was noted
        int code = 0;               ///< si_code
        std::uint64_t address = 0;  ///< si_addr, of a fault
        int system_call = -1;       ///< of SIGSYS: the call that the sandbox refused
        int executor = -1;          ///< which loop or thread of the worker it was; -1: none of them
    };

    /// Of a thread of a pool: which pool, what it was doing, and by what code of a module: see
    /// `InFlight::module`.
    struct Task {
        std::string_view pool, about, module;
    };

    /// A shared object of the process.
    struct Object {
        std::string_view file;             ///< its name without folders; cut
        std::uint64_t begin = 0, end = 0;  ///< where it lies
        std::uint64_t bias = 0;            ///< what its own addresses are less
    };
    /// In which code the process was.
    struct Place {
        std::string_view module;          ///< the name of the innermost module among the calls; empty: none
        std::span<const Object> objects;  ///< in which calls lie, `objects_max` at most
    };

    /// Async-signal-safe. Only the first note of a life counts; threads that crash at once do not mix theirs.
    void write(const Signal& signal, std::span<void* const> frames, const Task& task,
               const Place& place) noexcept;
    void write(const Signal& signal, std::span<void* const> frames) noexcept {
        write(signal, frames, {"", "", ""}, {"", {}});
    }
    /// Before the next worker takes the place.
    void clear() noexcept { number_.store(0, std::memory_order_relaxed); }

    /// After the writer's death.
    [[nodiscard]] Signal signal() const noexcept;
    /// Into `frames`; how many there are.
    std::size_t frames(std::span<void*, frames_max> frames) const noexcept;
    /// Empty: it was no thread of a pool.
    [[nodiscard]] std::string pool() const;
    [[nodiscard]] std::string about() const;
    [[nodiscard]] std::string module_of_task() const;
    /// As `Place` has it.
    [[nodiscard]] std::string module() const;
    /// The shared object that this address was in, by number; none: none that was noted.
    [[nodiscard]] std::optional<std::size_t> object_at(std::uint64_t address) const noexcept;
    [[nodiscard]] std::string file(std::size_t object) const { return objects_.at(object).file.get(); }
    [[nodiscard]] std::uint64_t begin(std::size_t object) const noexcept;
    [[nodiscard]] std::uint64_t bias(std::size_t object) const noexcept;

 private:
    struct Noted {
        std::atomic<std::uint64_t> begin{0}, end{0}, bias{0};
        SharedText<48> file;
    };

    static constexpr std::int32_t being_written = -1;

    std::atomic<std::int32_t> number_{0}, code_{0}, system_call_{-1}, executor_{-1};
    std::atomic<std::uint32_t> frame_count_{0}, object_count_{0};
    std::atomic<std::uint64_t> address_{0};
    std::array<std::atomic<std::uint64_t>, frames_max> frames_{};
    std::array<Noted, objects_max> objects_{};
    SharedText<64> module_;
    SharedText<64> pool_;
    SharedText<192> about_;
    SharedText<96> module_of_task_;
};

}  // namespace ipc
