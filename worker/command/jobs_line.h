// worker/command/jobs_line.h: what is asked for by `reeve jobs ...`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace worker::command {

struct JobsAsked {
    enum class What : std::uint8_t {
        none,
        list,
        show,
        add,
        retry,
        cancel,
        pause,
        resume,
        purge,
        stats,
        schedules
    };
    What what = What::none;
    bool json = false;
    std::chrono::milliseconds timeout{10'000};  ///< until each question is answered

    std::string queue;                ///< of `list`: empty: all
    std::vector<std::string> ids;     ///< of `show` (one), `retry`, `cancel`
    std::vector<std::string> states;  ///< of `list`, empty: all; of `purge`
    std::uint32_t limit = 50;         ///< of `list`
    std::string after;                ///< likewise
    bool only_ids = false;            ///< likewise
    bool result = false;              ///< of `show`: what it has come to, and nothing else
    std::string before;               ///< of `purge`: a moment, or an age; empty: all

    /// Of `add`; what is empty was not said.
    struct Job {
        std::string file = "-", type, delay, run_at, key, unique, idempotency_key, callback;
        std::optional<std::int32_t> priority;
        std::optional<std::uint32_t> attempts;
    } job;
};

/// Adds `jobs` and what belongs to it, and returns it. `asked` is filled in when the line is read, and stays
/// until then. What makes no sense by itself is refused then.
CLI::App* declare_jobs(CLI::App& app, JobsAsked& asked);

/// As it is said: `ls`.
[[nodiscard]] std::string_view verb_of(JobsAsked::What what) noexcept;

}  // namespace worker::command
