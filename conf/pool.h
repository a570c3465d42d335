// conf/pool.h: [pool NAME]: processes of ours that do the work of routes, or threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conf {

/// `run = fastcgi CMD...`, `run = cgi CMD...`, `run = work`: what a member of a pool does.
struct PoolRun {
    enum class Kind : std::uint8_t {
        fastcgi,  ///< a program that takes FastCGI on descriptor 0
        cgi,      ///< a program that is run anew for each request (RFC 3875)
        module,   ///< functions of a C++ module
        work      ///< what a route's `work` says
    };
    Kind kind = Kind::fastcgi;
    /// The program and its arguments; none with `work`. A program without a slash is looked for in PATH, else
    /// it is absolute.
    std::vector<std::string> command;
    /// Whether anything was said.
    [[nodiscard]] bool is_set() const noexcept { return !command.empty() || kind == Kind::work; }
    bool operator==(const PoolRun&) const = default;
};

/// `rlimits = cpu=60s memory=512m`: what the kernel holds each process to (setrlimit(2)).
struct ResourceLimit {
    enum class What : std::uint8_t { cpu, memory, files, core, processes, file_size };
    What what = What::cpu;
    std::uint64_t value = 0;  ///< seconds of cpu; bytes of memory, core, file_size; else a number
    bool operator==(const ResourceLimit&) const = default;
};

/// `environment = NAME=VALUE`.
struct Variable {
    std::string name, value;
    bool operator==(const Variable&) const = default;
};

struct Pool {
    enum class Kind : std::uint8_t { process, thread };

    std::string name;
    Kind kind = Kind::process;
    PoolRun run;
    std::uint32_t size = 0;                           ///< members to begin with; 0: see `pool_size`
    std::optional<std::uint32_t> size_min, size_max;  ///< none: `size`
    std::chrono::milliseconds idle_timeout{60'000};   ///< beyond `size_min`, who idles for so long leaves
    std::uint32_t queue = 128;                        ///< tasks that may wait, over all workers
    std::chrono::milliseconds queue_timeout{10'000};  ///< and for how long
    std::chrono::milliseconds timeout{30'000};        ///< of one task; then its member is ended
    std::chrono::milliseconds kill_grace{2'000};      ///< from TERM to KILL
    std::uint64_t max_tasks = 0;                      ///< a member is replaced after about so many; 0: never
    std::uint64_t max_memory = 0;                     ///< or when its resident bytes pass this; 0: never
    std::vector<Variable> environment;
    std::string directory;  ///< absolute; empty: /
    std::string user;       ///< empty: that of workers
    std::vector<ResourceLimit> rlimits;
    bool operator==(const Pool&) const = default;
};

/// Threads that have a process of their own, for jobs: `kind = thread` with a `run`.
[[nodiscard]] inline bool is_hosted(const Pool& pool) noexcept {
    return pool.kind == Pool::Kind::thread && pool.run.is_set();
}

/// How many threads each worker has for it: to begin with, and at most, with those that are stuck.
struct ThreadNumber {
    std::uint32_t begin = 1, max = 1;
};
[[nodiscard]] ThreadNumber thread_number(const Pool& pool) noexcept;

/// How many members a pool of processes has: to begin with, at least and at most. One that is hosted: one.
struct PoolSize {
    std::uint32_t begin = 1, min = 1, max = 1;
};
/// `processors`: of this machine, for a size that nobody has set.
[[nodiscard]] PoolSize pool_size(const Pool& pool, std::uint32_t processors) noexcept;

constexpr std::uint32_t pool_members_max = 1000;
constexpr std::uint32_t pool_threads_default = 4;
constexpr std::size_t pools_max = 64;

}  // namespace conf
