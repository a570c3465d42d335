// worker/jobs/postgres_functions.h: what PostgreSQL does for each operation: functions of the connection.
#pragma once

#include <array>
#include <string>

namespace worker::jobs {

// A statement for each operation, whatever that has to look up: so that a batch is one round trip. The
// functions belong to the connection (`pg_temp`), not to the database: nodes of different versions do not
// meet there.

/// Makes them, in this order.
[[nodiscard]] std::string postgres_common_functions();
[[nodiscard]] std::string postgres_enqueue_functions();
[[nodiscard]] std::string postgres_claim_functions();
[[nodiscard]] std::string postgres_tell_functions();
[[nodiscard]] std::string postgres_finish_functions();
[[nodiscard]] std::string postgres_removal_functions();

struct PostgresStatement {
    const char* name;
    const char* text;
};
/// To be prepared when the functions are there.
extern const std::array<PostgresStatement, 22> postgres_statements;

}  // namespace worker::jobs
