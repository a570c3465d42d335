// worker/jobs/postgres_bell.h: the bell of nodes that share a PostgreSQL: LISTEN and NOTIFY.
#pragma once

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "ipc/unique_fd.h"
#include "worker/execution/mailbox.h"
#include "worker/jobs/bell.h"
#include "worker/jobs/postgres_connection.h"

namespace worker::jobs {

/// A connection and a thread of its own. NOTIFY takes a lock of the whole database when it is committed: it
/// is never said in a transaction that stores something, and at most every 50 ms.
class PostgresBell final : public Bell {
 public:
    PostgresBell(execution::Loop& loop, std::string url, std::chrono::milliseconds timeout, Heard heard);
    PostgresBell(const PostgresBell&) = delete;
    PostgresBell& operator=(const PostgresBell&) = delete;
    /// Waits for the thread, which may be connecting: no more than some seconds.
    ~PostgresBell() override;

    void ring(const std::string& queue) override;
    void cancel(const std::string& id, std::int64_t fence) override;
    void hush() override;

 private:
    void say(std::string word);
    void on_word(const std::string& word);
    // those of the thread
    void live();
    [[nodiscard]] bool is_over();
    void attend(PostgresConnection& connection);
    [[nodiscard]] bool tell(PostgresConnection& connection);
    void wait(int fd, std::chrono::milliseconds time);

    const PostgresConnection::Terms terms_;
    const Heard heard_;
    execution::Mailbox mailbox_;
    ipc::UniqueFd awake_;  ///< eventfd: the thread is to look
    std::mutex mutex_;
    std::set<std::string> words_;  ///< under the mutex: not told yet
    bool over_ = false;            ///< likewise
    std::thread thread_;
};

}  // namespace worker::jobs
