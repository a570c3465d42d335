// worker/jobs/sqlite_schema.h: the tables of jobs in SQLite, and the way to them from those of older
// versions.
#pragma once

#include "ipc/result.h"
#include "worker/jobs/sqlite_connection.h"

namespace worker::jobs {

/// The version that this program reads and writes.
inline constexpr int sqlite_schema_version = 2;

/// Sets the connection up (WAL, every commit synced), and brings the tables to the version above, in one
/// transaction. Refuses files that are something else, and those of newer versions. The log is cut down to
/// `wal_max` bytes when it begins anew.
ipc::Result<void> prepare_schema(SqliteConnection& connection, std::uint64_t wal_max);

}  // namespace worker::jobs
