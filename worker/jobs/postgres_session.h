// worker/jobs/postgres_session.h: a connection to PostgreSQL that is ready for batches of operations.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "worker/jobs/postgres_calls.h"
#include "worker/jobs/postgres_connection.h"

namespace worker::jobs {

/// What was sent by a session that is no more, and of which nobody knows whether it was committed.
struct PostgresDoubt {
    PostgresConnection::Backend backend;
    std::int64_t batch = 0;             ///< 0: nothing is in doubt
    std::vector<std::string> claimers;  ///< the owners it claimed for
};

/// Used by one thread; calls block.
class PostgresSession {
 public:
    /// Connects, and brings the tables up to date. What is in doubt is made certain: who would commit it is
    /// ended, and jobs it gave out are given back. `refused`: it is there, and its tables cannot be ours.
    [[nodiscard]] static ipc::Result<std::unique_ptr<PostgresSession>> open(
        const PostgresConnection::Terms& terms, const PostgresDoubt& doubt, UnixMs now, bool& refused);

    using IsGone = std::function<bool(const std::string& owner)>;
    /// All or nothing; tries again by itself where the database says that this may help.
    [[nodiscard]] ipc::Result<void> apply(std::span<Operation> batch, const PostgresMoment& moment,
                                          const IsGone& is_gone, std::chrono::milliseconds limit);
    /// Whether what it has committed outlives its power.
    [[nodiscard]] bool durable() const noexcept { return durable_; }
    [[nodiscard]] PostgresConnection& connection() noexcept { return *connection_; }
    /// Of the database: rows that are dead, and how old the oldest transaction is, in milliseconds.
    struct Figures {
        std::uint64_t dead_rows = 0;
        std::int64_t oldest_transaction_ms = 0;
    };
    [[nodiscard]] ipc::Result<Figures> figures();

 private:
    explicit PostgresSession(std::unique_ptr<PostgresConnection> connection)
        : connection_(std::move(connection)) {}

    [[nodiscard]] ipc::Result<void> prepare(std::chrono::milliseconds limit);
    [[nodiscard]] ipc::Result<void> settle(const PostgresDoubt& doubt, UnixMs now,
                                           std::chrono::milliseconds limit);
    [[nodiscard]] ipc::Result<std::vector<std::string>> gone_owners(const Recover& recover,
                                                                    const IsGone& is_gone);
    [[nodiscard]] ipc::Result<void> apply_once(std::span<Operation> batch, const PostgresMoment& moment,
                                               const IsGone& is_gone);
    [[nodiscard]] ipc::Result<PostgresRows> run(const char* name, const PostgresParams& params);

    std::unique_ptr<PostgresConnection> connection_;
    std::int32_t part_ = 0;  ///< of the counts, ours while we are connected
    bool durable_ = true;
};

}  // namespace worker::jobs
