// worker/jobs/postgres_schema.h: the tables of jobs in PostgreSQL, in a schema of their own, and how they
// grow with versions.
#pragma once

#include <chrono>

#include "ipc/result.h"
#include "worker/jobs/postgres_connection.h"

namespace worker::jobs {

inline constexpr int postgres_schema_version = 2;

/// Makes or brings up to date what is in the schema `reeve`, while no other node does; refuses what a newer
/// version has made. Ends within about `limit`. After a failure the connection is of no more use.
[[nodiscard]] ipc::Result<void> prepare_postgres_schema(PostgresConnection& connection,
                                                        std::chrono::milliseconds limit);

}  // namespace worker::jobs
