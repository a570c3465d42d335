#include "worker/jobs/sqlite_queues.h"

#include <cstdlib>

namespace worker::jobs {

SqliteQueues::SqliteQueues(SqliteConnection& connection)
    : read_(
          connection,
          "SELECT id, name, paused, key_concurrency, bytes, scheduled, ready, running, done, dead, cancelled "
          "FROM queues"),
      insert_(connection, "INSERT INTO queues (id, name) VALUES (?1, ?2)"),
      update_(connection,
              "UPDATE queues SET paused = ?2, key_concurrency = ?3, bytes = ?4, scheduled = ?5, ready = ?6, "
              "running = ?7, done = ?8, dead = ?9, cancelled = ?10 WHERE id = ?1") {}

void SqliteQueues::load() {
    auto use = read_.with();
    while (use.row()) {
        SqliteQueue queue;
        queue.id = use.integer(0);
        queue.name = use.text(1);
        queue.paused = use.integer(2) != 0;
        queue.key_concurrency = use.as<std::uint32_t>(3);
        queue.bytes = use.integer(4);
        for (std::size_t state = 0; state < state_count; ++state)
            queue.jobs[state] = use.integer(static_cast<int>(5 + state));
        auto& kept = queues_[queue.name] = queue;
        by_id_[kept.id] = &kept;
    }
}

SqliteQueue* SqliteQueues::find(std::string_view name) {
    const auto found = queues_.find(name);
    return found == queues_.end() ? nullptr : &found->second;
}

SqliteQueue& SqliteQueues::at(std::string_view name) {
    if (auto* found = find(name)) return *found;
    SqliteQueue& made = queues_[std::string(name)];
    made.id = by_id_.empty() ? 1 : by_id_.rbegin()->first + 1;
    made.name = name;
    by_id_[made.id] = &made;
    insert_.run(made.id, made.name);
    return made;
}

SqliteQueue& SqliteQueues::at(std::int64_t id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) std::abort();  // queues are never deleted
    return *found->second;
}

void SqliteQueues::save() {
    for (auto& [name, queue] : queues_) {
        if (!queue.changed) continue;
        queue.changed = false;
        const auto& jobs = queue.jobs;
        update_.run(queue.id, queue.paused, queue.key_concurrency, queue.bytes, jobs[0], jobs[1], jobs[2],
                    jobs[3], jobs[4], jobs[5]);
    }
}

}  // namespace worker::jobs
