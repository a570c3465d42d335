// worker/jobs/postgres_connection.h: one connection to a PostgreSQL, on which nothing waits longer than it
// may.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/result.h"
#include "worker/jobs/postgres_values.h"

namespace worker::jobs {

/// Used by one thread; calls block. After a failure that `broken` tells of it is of no more use.
class PostgresConnection {
 public:
    struct Terms {
        std::string url;
        std::string name;  ///< of the application, as the database shows it
        /// To connect, up to 5 s; of a statement; of what is sent and not taken.
        std::chrono::milliseconds timeout{5000};
    };
    /// Who serves it: also known when it is no longer connected.
    struct Backend {
        int pid = 0;
        std::int64_t started_us = 0;  ///< by the database's clock
    };

    [[nodiscard]] static ipc::Result<std::unique_ptr<PostgresConnection>> open(const Terms& terms);
    PostgresConnection(const PostgresConnection&) = delete;
    PostgresConnection& operator=(const PostgresConnection&) = delete;
    ~PostgresConnection() = default;

    /// What follows has to be over by then, all together.
    void limit(std::chrono::milliseconds time);

    /// One statement by itself.
    [[nodiscard]] ipc::Result<PostgresRows> run(const char* statement, const PostgresParams& params = {});
    /// Any number of them, without answers.
    [[nodiscard]] ipc::Result<void> run_script(const std::string& script);
    [[nodiscard]] ipc::Result<void> prepare(const char* name, const char* statement);

    /// Adds a prepared statement to the pipeline: nothing is sent yet.
    [[nodiscard]] bool add(const char* name, const PostgresParams& params);
    /// Sends all that was added, as one transaction, and gives each answer, in order, as it comes; over when
    /// it is committed. On failure nothing of it has happened, unless `broken` tells that nobody knows.
    [[nodiscard]] ipc::Result<void> commit(const std::function<void(std::size_t, PostgresRows&)>& answered,
                                           std::size_t count);

    /// It is of no more use, as this says.
    tl::unexpected<ipc::Error> refuse(std::string why) { return break_off(std::move(why)); }
    /// Nothing more can be said on it.
    [[nodiscard]] bool broken() const noexcept { return broken_; }
    /// Looks whether the other side has gone while nothing was said.
    [[nodiscard]] bool alive();
    /// SQLSTATE of the last failure; empty: it was not the database that said it.
    [[nodiscard]] const std::string& state() const noexcept { return state_; }
    [[nodiscard]] const Backend& backend() const noexcept { return backend_; }
    [[nodiscard]] PGconn* get() noexcept { return connection_.get(); }

 private:
    struct Finish {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };
    explicit PostgresConnection(PGconn* connection) : connection_(connection) {}

    ipc::Result<void> connect(std::chrono::milliseconds limit);
    ipc::Result<void> prepare_session(const Terms& terms);
    [[nodiscard]] bool wait(bool writes);
    [[nodiscard]] bool flush();
    /// Null: there is no more for now, or it broke.
    [[nodiscard]] PGresult* next_result();
    ipc::Result<PostgresRows> last_result();
    tl::unexpected<ipc::Error> fail(const PGresult* result);
    tl::unexpected<ipc::Error> break_off(std::string why);

    std::unique_ptr<PGconn, Finish> connection_;
    std::chrono::steady_clock::time_point until_{};
    Backend backend_;
    std::string state_, broken_why_;
    bool broken_ = false;
};

}  // namespace worker::jobs
