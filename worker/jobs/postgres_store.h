// worker/jobs/postgres_store.h: jobs in a PostgreSQL, which several machines may share.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "worker/jobs/postgres_session.h"
#include "worker/jobs/store.h"

namespace worker::jobs {

struct PostgresOptions {
    std::chrono::milliseconds timeout{5000};  ///< of a batch, and to connect
    /// Whether an owner that says nothing is gone for certain; the others are known by their leases.
    std::function<bool(const std::string& owner)> is_gone;
    bool own_clock = false;  ///< for tests: leases go by `now`, and not by the database's clock
};

/// One connection; a batch is one round trip. While the database cannot be reached batches fail at once, but
/// for one now and then that tries.
class PostgresStore final : public Store {
 public:
    /// Makes what is not there. Fails when the database is there and cannot be had for jobs; one that cannot
    /// be reached may come yet.
    static ipc::Result<std::unique_ptr<Store>> open(const std::string& url, PostgresOptions options);
    /// Gives back what a batch without an answer may have claimed, if the database can be had at once.
    ~PostgresStore() override;

    ipc::Result<void> apply(std::span<Operation> batch, UnixMs now) override;
    void tidy() override;
    [[nodiscard]] StoreFigures figures() override { return figures_; }

 private:
    using Clock = std::chrono::steady_clock;

    PostgresStore(const std::string& url, PostgresOptions options);

    ipc::Result<void> reach(UnixMs now);
    ipc::Result<void> apply_until(std::span<Operation> batch, UnixMs now, Clock::time_point until);
    void lose(std::span<const Operation> batch, std::int64_t mark);
    void look_at_figures();

    PostgresConnection::Terms terms_;
    PostgresOptions options_;
    std::unique_ptr<PostgresSession> session_;
    PostgresDoubt doubt_;
    std::mt19937_64 random_{std::random_device{}()};
    std::int64_t mark_ = static_cast<std::int64_t>(random_() >> 2);  ///< of the last batch
    Clock::time_point not_before_{};
    std::chrono::milliseconds wait_{0};  ///< from one try to reach it to the next
    std::string why_;                    ///< it could not be reached
    bool refused_ = false;
    bool durable_ = true;  ///< the last one, with fsync
    bool lost_ = false;    ///< the connection broke under the batch
    StoreFigures figures_;
    Clock::time_point figures_at_{};
};

}  // namespace worker::jobs
