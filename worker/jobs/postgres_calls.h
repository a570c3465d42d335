// worker/jobs/postgres_calls.h: operations as calls of what a PostgreSQL does for them, and its answers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/jobs/operations.h"
#include "worker/jobs/postgres_values.h"

namespace worker::jobs {

/// What all operations of a batch have in common.
struct PostgresMoment {
    UnixMs now = 0;
    std::optional<UnixMs> clock;  ///< what leases go by; none: the database's
    std::int32_t part = 0;        ///< of the counts
    std::int64_t batch = 0;       ///< its mark on the jobs that it claims
};

/// One statement: of one operation, or of several of a kind that follow each other.
struct PostgresCall {
    const char* statement;
    PostgresParams params;
    std::span<Operation> operations;
};

/// How many of the first operations go as one call.
[[nodiscard]] std::size_t together(std::span<const Operation> operations);
/// `gone`: the owners whose jobs a `Recover` is to find that does not go by leases.
[[nodiscard]] PostgresCall call_of(std::span<Operation> operations, const PostgresMoment& moment,
                                   const std::vector<std::string>& gone);
/// Fills in the answers.
void take_answers(const PostgresRows& rows, std::span<Operation> operations);

/// The jobs that these change, sorted; what locks them is worth its while where it is not empty.
[[nodiscard]] std::vector<std::string_view> changed_jobs(std::span<const Operation> operations);

/// As if nothing had been asked.
void drop_answers(std::span<Operation> operations);

}  // namespace worker::jobs
