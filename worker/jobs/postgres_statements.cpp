// worker/jobs/postgres_statements.cpp: the statements that operations are.
#include "worker/jobs/postgres_functions.h"

namespace worker::jobs {

#define REEVE_NEW_JOB                                                                                     \
    "::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], $8::integer[], $9::bigint[], "       \
    "$10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bigint[], $15::bytea[], $16::bytea[], " \
    "$17::bigint[], $18::bigint[], $19::bytea[]"
#define REEVE_VIEW                                                                                  \
    "j.id, q.name, j.key, j.callback, j.state, j.priority, j.attempts, j.attempts_max, j.crashes, " \
    "j.created, "                                                                                   \
    "j.run_at, j.started, j.ended, n.reason, n.progress, j.cancelling, j.body_size, j.seq"

const std::array<PostgresStatement, 22> postgres_statements{{
    {"enqueue",
     "SELECT what, id, state FROM pg_temp.reeve_enqueue($1::bigint, $2::integer, $3" REEVE_NEW_JOB ")"},
    {"enqueue_plain",
     "SELECT what, id, state FROM pg_temp.reeve_enqueue_plain($1::bigint, $2::integer, $3::bytea[], "
     "$4::bytea, "
     "$5::bytea[], $6::bytea[], $7::bigint[], $8::integer[], $9::bigint[], $10::bytea[], $11::bytea[], "
     "$12::bigint, $13::bigint, $14::bytea[])"},
    {"fire",
     "SELECT what, id, state FROM pg_temp.reeve_fire($20::bytea, $21::bigint, $1::bigint, $2::integer, "
     "$3" REEVE_NEW_JOB ")"},
    {"claim",
     "SELECT * FROM pg_temp.reeve_claim($1::bigint, $2::integer, $3::bigint, $4::bytea, $5::bytea, "
     "$6::bigint, $7::integer, $8::bigint, $9::bigint, $10::bigint, $11::bigint)"},
    {"extend", "SELECT pg_temp.reeve_extend($1::bigint, $2::bytea, $3::bigint)"},
    {"lock", "SELECT pg_temp.reeve_lock($1::bytea[])"},
    {"finish",
     "SELECT accepted, state FROM pg_temp.reeve_finish($1::bigint, $2::integer, $3::bytea[], "
     "$4::bigint[], $5::integer[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bigint[], $10::bigint[], "
     "$11::integer[], $12::integer[], $13::bytea[])"},
    {"progress", "SELECT accepted, cancelling FROM pg_temp.reeve_progress($1::bytea, $2::bigint, $3::bytea)"},
    {"cancel", "SELECT what, fence, owner FROM pg_temp.reeve_cancel($1::bigint, $2::integer, $3::bytea)"},
    {"retry", "SELECT what, queue FROM pg_temp.reeve_retry($1::bigint, $2::integer, $3::bytea)"},
    // a row for each attempt, or one without; what it has come to in the first
    {"get",
     "SELECT " REEVE_VIEW ", a.number, a.started, a.ended, a.ending, a.error, r.content_type, r.size, r.cut, "
     "CASE WHEN $2::boolean AND r.size <= $3::bigint AND row_number() OVER (ORDER BY a.number) = 1 "
     "THEN r.body END, r.status, r.fields "
     "FROM reeve.jobs j JOIN reeve.queues q ON q.id = j.queue LEFT JOIN reeve.notes n USING (seq) "
     "LEFT JOIN reeve.results r USING (seq) LEFT JOIN reeve.attempts a USING (seq) "
     "WHERE j.id = $1::bytea ORDER BY a.number"},
    {"list", "SELECT " REEVE_VIEW " FROM (SELECT * FROM reeve.jobs WHERE seq < $1::bigint ORDER BY seq DESC "
             "LIMIT $2::bigint) j JOIN reeve.queues q ON q.id = j.queue LEFT JOIN reeve.notes n USING (seq) "
             "ORDER BY j.seq DESC"},
    {"list_some",
     "SELECT " REEVE_VIEW
     " FROM reeve.queues q CROSS JOIN unnest($4::integer[]) AS s (state) CROSS JOIN LATERAL "
     "(SELECT * FROM reeve.jobs t WHERE t.queue = q.id AND t.state = s.state AND t.seq < $1::bigint "
     "ORDER BY t.seq DESC LIMIT $2::bigint) j LEFT JOIN reeve.notes n USING (seq) "
     "WHERE $3::bytea = '' OR q.name = $3::bytea ORDER BY j.seq DESC LIMIT $2::bigint"},
    {"pause", "SELECT pg_temp.reeve_pause($1::bytea, $2::boolean)"},
    {"purge",
     "SELECT purged, more FROM pg_temp.reeve_purge($1::integer, $2::bytea, $3::integer[], $4::bigint, "
     "$5::bigint)"},
    {"expire",
     "SELECT expired, more FROM pg_temp.reeve_expire($1::bigint, $2::integer, $3::bytea[], "
     "$4::bigint[], $5::bigint[], $6::bigint)"},
    {"recover",
     "SELECT r.recovered, r.more, q.name, u.jobs FROM pg_temp.reeve_recover($1::bigint, $2::integer, "
     "$3::bigint, $4::integer, $5::bytea[], $6::bigint) r LEFT JOIN LATERAL unnest(r.queues, r.jobs) "
     "AS u (queue, jobs) ON true LEFT JOIN reeve.queues q ON q.id = u.queue"},
    {"stats", "SELECT * FROM pg_temp.reeve_stats()"},
    {"last_fired", "SELECT max(due) FROM reeve.fired WHERE schedule = $1::bytea"},
    {"owners", "SELECT DISTINCT owner FROM reeve.jobs WHERE state = 2"},
    {"end_backend",
     "SELECT pg_terminate_backend(pid, $3::bigint) FROM pg_stat_activity WHERE pid = $1::integer "
     "AND (extract(epoch FROM backend_start) * 1000000)::bigint = $2::bigint"},
    // of what this user may see
    {"figures",
     "SELECT coalesce((SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables WHERE schemaname = 'reeve'), "
     "0), "
     "coalesce((SELECT (max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000)::bigint "
     "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'), 0)"},
}};

#undef REEVE_NEW_JOB
#undef REEVE_VIEW

}  // namespace worker::jobs
