// worker/jobs/sqlite_queues.h: the queues in SQLite, and how many jobs of each state each of them has.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "worker/jobs/job.h"
#include "worker/jobs/sqlite_statement.h"

namespace worker::jobs {

inline constexpr std::size_t state_count = 6;

struct SqliteQueue {
    std::int64_t id = 0;
    std::string name;
    bool paused = false;
    /// What claims were bounded by; see SqliteClaims.
    std::uint32_t key_concurrency = 0;
    std::array<std::int64_t, state_count> jobs{};  ///< by State
    std::int64_t bytes = 0;                        ///< of bodies that are not over
    bool changed = false;

    [[nodiscard]] std::int64_t& count(State state) { return jobs[static_cast<std::size_t>(state)]; }
    [[nodiscard]] std::int64_t not_over() const { return jobs[0] + jobs[1] + jobs[2]; }
};

/// Kept in memory; what a transaction changed is written once, before it is committed.
class SqliteQueues {
 public:
    explicit SqliteQueues(SqliteConnection& connection);

    /// Reads all of them, once.
    void load();
    /// Null: there is none of that name.
    [[nodiscard]] SqliteQueue* find(std::string_view name);
    /// Made, if there is none.
    [[nodiscard]] SqliteQueue& at(std::string_view name);
    [[nodiscard]] SqliteQueue& at(std::int64_t id);
    /// Writes what was changed.
    void save();

    [[nodiscard]] auto& all() { return queues_; }

 private:
    std::map<std::string, SqliteQueue, std::less<>> queues_;
    std::map<std::int64_t, SqliteQueue*> by_id_;
    SqliteStatement read_, insert_, update_;
};

}  // namespace worker::jobs
