#include "worker/jobs/postgres_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "worker/jobs/store.h"

namespace worker::jobs {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds answer_slack{1000};  ///< beyond the database's own limit, which says more
constexpr milliseconds connect_max{5000};   ///< however long a batch may take
constexpr std::size_t complaint_max = 500;

/// The first line of what libpq says.
std::string first_line(const char* text) {
    std::string_view line(text == nullptr ? "" : text);
    line = line.substr(0, line.find('\n'));
    while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
    return std::string(line);
}

/// "connection to server at "10.0.0.1", port 5432 failed: FATAL:  no" as it is: it has no password in it. Of
/// several addresses each has a line, and with TLS and without it the same one; hints begin with a tab.
std::string complaint_of(PGconn* connection) {
    std::string_view rest(PQerrorMessage(connection));
    std::string said;
    while (!rest.empty() && said.size() < complaint_max) {
        const auto line = first_line(std::string(rest).c_str());
        rest.remove_prefix(std::min(rest.size(), std::min(rest.find('\n'), rest.size()) + 1));
        if (line.empty() || line.front() == '\t' || said.find(line) != std::string::npos) continue;
        said += (said.empty() ? "" : "; ") + line;
    }
    return said.empty() ? "the connection broke" : said.substr(0, complaint_max);
}

struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};

void ignore_notices(void*, const PGresult*) {}

}  // namespace

ipc::Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(const Terms& terms) {
    // What the URL says comes later, and so goes before what is said here; but for what stands behind it.
    const auto timeout = std::to_string(std::max<std::int64_t>(terms.timeout.count(), 1));
    const std::array<const char*, 11> keys{"gssencmode",
                                           "target_session_attrs",
                                           "keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "tcp_user_timeout",
                                           "fallback_application_name",
                                           "dbname",
                                           "client_encoding",
                                           "connect_timeout",
                                           nullptr};
    const std::array<const char*, 11> values{
        "disable",          "read-write",      "10",   "5", "3",    timeout.c_str(),
        terms.name.c_str(), terms.url.c_str(), "UTF8", "0", nullptr};
    PGconn* started = PQconnectStartParams(keys.data(), values.data(), 1);
    if (started == nullptr) return ipc::failure("no memory for a connection to the database");
    std::unique_ptr<PostgresConnection> made(new PostgresConnection(started));
    if (auto connected = made->connect(std::min(terms.timeout, connect_max)); !connected)
        return tl::make_unexpected(std::move(connected.error()));
    if (auto prepared = made->prepare_session(terms); !prepared)
        return tl::make_unexpected(std::move(prepared.error()));
    return made;
}

void PostgresConnection::limit(milliseconds time) { until_ = Clock::now() + time + answer_slack; }

ipc::Result<void> PostgresConnection::connect(milliseconds time) {
    until_ = Clock::now() + time;
    if (PQstatus(get()) == CONNECTION_BAD) return break_off(complaint_of(get()));
    PQsetNoticeReceiver(get(), ignore_notices, nullptr);
    for (auto step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK; step = PQconnectPoll(get())) {
        if (step == PGRES_POLLING_FAILED) return break_off(complaint_of(get()));
        if (!wait(step == PGRES_POLLING_WRITING))
            return break_off(broken_why_.empty() ? "the database does not answer in time" : broken_why_);
    }
    if (PQsetnonblocking(get(), 1) != 0) return break_off(complaint_of(get()));
    return {};
}

ipc::Result<void> PostgresConnection::prepare_session(const Terms& terms) {
    limit(terms.timeout);
    const auto ms = terms.timeout.count();
    // The last two: plans once, and by the indexes that are made for each question, whatever statistics say.
    const auto settings = fmt::format(
        "SET statement_timeout = {0}; SET lock_timeout = {0}; SET idle_in_transaction_session_timeout = {0};"
        "SET tcp_user_timeout = {0}; SET client_min_messages = warning; SET bytea_output = hex;"
        "SET synchronous_commit = on; SET search_path = pg_catalog; SET jit = off; SET timezone = 'UTC';"
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off",
        ms);
    if (auto set = run_script(settings); !set) return set;
    // what waits for a standby stays as the database has it: `on` is the least that outlives the power
    auto level =
        run("SELECT set_config('synchronous_commit', coalesce(nullif(reset_val, 'off'), 'on'), false) "
            "FROM pg_settings WHERE name = 'synchronous_commit' AND reset_val <> 'local'");
    if (!level) return tl::make_unexpected(std::move(level.error()));
    auto self =
        run("SELECT (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity "
            "WHERE pid = pg_backend_pid()");
    if (!self) return tl::make_unexpected(std::move(self.error()));
    backend_.pid = PQbackendPID(get());
    if (self->rows() == 1) backend_.started_us = self->number(0, 0);
    return {};
}

// ---- waiting ------------------------------------------------------------------------------------------

bool PostgresConnection::wait(bool writes) {
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(until_ - Clock::now()).count();
        if (left <= 0) return false;
        const auto interest = static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN);
        pollfd one{.fd = PQsocket(get()), .events = interest, .revents = 0};
        const int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        // Who was stopped meanwhile (SIGSTOP) may be taken for gone: what comes so late is not relied on.
        if (ready > 0) return Clock::now() < until_;
        if (ready < 0 && errno != EINTR) return false;
    }
}

/// Reads while it writes: the other side may not take more before its answers are taken.
bool PostgresConnection::flush() {
    for (;;) {
        const int left = PQflush(get());
        if (left < 0) return false;
        if (left == 0) return true;
        if (!wait(true)) {
            broken_why_ = "the database does not take what is sent";
            return false;
        }
        if (PQconsumeInput(get()) == 0) return false;
    }
}

PGresult* PostgresConnection::next_result() {
    while (PQisBusy(get()) != 0) {
        if (!wait(false)) {
            broken_why_ = "the database does not answer in time";
            broken_ = true;
            return nullptr;
        }
        if (PQconsumeInput(get()) == 0) {
            broken_ = true;
            return nullptr;
        }
    }
    return PQgetResult(get());
}

bool PostgresConnection::alive() {
    if (broken_) return false;
    pollfd one{.fd = PQsocket(get()), .events = POLLIN, .revents = 0};
    if (::poll(&one, 1, 0) > 0 && PQconsumeInput(get()) == 0) broken_ = true;
    if (PQstatus(get()) != CONNECTION_OK) broken_ = true;
    return !broken_;
}

tl::unexpected<ipc::Error> PostgresConnection::break_off(std::string why) {
    broken_ = true;
    return ipc::failure(std::string(private_error) + why);
}

tl::unexpected<ipc::Error> PostgresConnection::fail(const PGresult* result) {
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQstatus(get()) != CONNECTION_OK) broken_ = true;
    if (broken_ || state == nullptr) {
        if (state != nullptr) state_ = state;
        auto why = !broken_why_.empty() ? broken_why_
                   : state != nullptr   ? first_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))
                                        : complaint_of(get());
        broken_ = true;
        return ipc::failure(std::string(private_error) + why);
    }
    state_ = state;
    return ipc::failure(fmt::format("{}{} ({})", private_error,
                                    first_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)), state));
}

// ---- one at a time ------------------------------------------------------------------------------------

/// Takes all that belongs to what was sent.
ipc::Result<PostgresRows> PostgresConnection::last_result() {
    state_.clear();
    if (!flush()) {
        broken_ = true;
        return fail(nullptr);
    }
    PostgresRows rows;
    ipc::Result<PostgresRows> failed = PostgresRows();
    while (PGresult* got = next_result()) {
        const auto status = PQresultStatus(got);
        if (status == PGRES_TUPLES_OK) {
            rows = PostgresRows(got);
            continue;
        }
        const std::unique_ptr<PGresult, ClearResult> result(got);
        if (status != PGRES_COMMAND_OK && failed) failed = fail(got);
    }
    if (broken_) return failed ? ipc::Result<PostgresRows>(fail(nullptr)) : std::move(failed);
    if (!failed) return failed;
    return ipc::Result<PostgresRows>(std::move(rows));
}

ipc::Result<PostgresRows> PostgresConnection::run(const char* statement, const PostgresParams& params) {
    const auto raw = params.raw();
    if (PQsendQueryParams(get(), statement, params.count(), nullptr, raw.values.data(), raw.lengths.data(),
                          raw.formats.data(), 1) == 0)
        return fail(nullptr);
    return last_result();
}

ipc::Result<void> PostgresConnection::run_script(const std::string& script) {
    if (PQsendQuery(get(), script.c_str()) == 0) return fail(nullptr);
    if (auto rows = last_result(); !rows) return tl::make_unexpected(std::move(rows.error()));
    return {};
}

ipc::Result<void> PostgresConnection::prepare(const char* name, const char* statement) {
    if (PQsendPrepare(get(), name, statement, 0, nullptr) == 0) return fail(nullptr);
    if (auto rows = last_result(); !rows) return tl::make_unexpected(std::move(rows.error()));
    return {};
}

// ---- all at once --------------------------------------------------------------------------------------

bool PostgresConnection::add(const char* name, const PostgresParams& params) {
    if (PQpipelineStatus(get()) == PQ_PIPELINE_OFF && PQenterPipelineMode(get()) == 0) return false;
    const auto raw = params.raw();
    return PQsendQueryPrepared(get(), name, params.count(), raw.values.data(), raw.lengths.data(),
                               raw.formats.data(), 1) == 1;
}

ipc::Result<void> PostgresConnection::commit(const std::function<void(std::size_t, PostgresRows&)>& answered,
                                             std::size_t count) {
    state_.clear();
    if (PQpipelineSync(get()) == 0 || !flush()) {
        broken_ = true;
        return fail(nullptr);
    }
    ipc::Result<void> outcome;
    // An answer of a statement ends with a null; that of the sync, at which all is committed, does not.
    for (std::size_t at = 0;;) {
        PGresult* got = next_result();
        if (got == nullptr) {
            if (broken_) return outcome ? ipc::Result<void>(fail(nullptr)) : outcome;
            if (++at > count) return break_off("it answers more than it was asked");
            continue;
        }
        const auto status = PQresultStatus(got);
        if (status == PGRES_TUPLES_OK) {
            PostgresRows rows(got);
            if (outcome) answered(at, rows);
            continue;
        }
        const std::unique_ptr<PGresult, ClearResult> result(got);
        if (status == PGRES_PIPELINE_SYNC) break;
        if (status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_ABORTED) continue;
        if (outcome) outcome = fail(got);
    }
    if (PQexitPipelineMode(get()) == 0) broken_ = true;
    return outcome;
}

}  // namespace worker::jobs
