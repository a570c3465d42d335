// worker/jobs/postgres_functions_tell.cpp: how PostgreSQL makes the jobs that tell of the ends of others.
#include "worker/jobs/postgres_functions.h"

namespace worker::jobs {

// What callback.h makes of a job, made where its end is stored: with it or not at all, and without another
// round trip. The JSON is that of job_json.h; whoever changes one changes both.
std::string postgres_tell_functions() {
    return R"(
-- Text as JSON; bytes that are none as bytea shows them.
CREATE FUNCTION pg_temp.reeve_json(p_bytes bytea) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
    RETURN to_json(convert_from(p_bytes, 'UTF8'))::text;
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN to_json(encode(p_bytes, 'escape'))::text;
END $f$;

CREATE FUNCTION pg_temp.reeve_json_moment(p_ms bigint) RETURNS text LANGUAGE sql AS $f$
    SELECT CASE WHEN p_ms = 0 THEN 'null' ELSE
        '"' || to_char(to_timestamp(p_ms / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' END
$f$;

-- Of lines; values of one name are one list (RFC 9110 5.3).
CREATE FUNCTION pg_temp.reeve_json_fields(p_lines bytea) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE
    v_rest bytea := p_lines;
    v_line bytea;
    v_end integer;
    v_names bytea[] := '{}';
    v_values bytea[] := '{}';
    v_at integer;
    v_json text;
BEGIN
    WHILE length(v_rest) > 0 LOOP
        v_end := position('\x0d0a'::bytea in v_rest);
        v_line := CASE WHEN v_end = 0 THEN v_rest ELSE substring(v_rest from 1 for v_end - 1) END;
        v_rest := CASE WHEN v_end = 0 THEN ''::bytea ELSE substring(v_rest from v_end + 2) END;
        v_end := position('\x3a20'::bytea in v_line); -- a colon and a space
        CONTINUE WHEN v_end = 0;
        v_at := array_position(v_names, substring(v_line from 1 for v_end - 1));
        IF v_at IS NULL THEN
            v_names := v_names || substring(v_line from 1 for v_end - 1);
            v_values := v_values || substring(v_line from v_end + 2);
        ELSE
            v_values[v_at] := v_values[v_at] || '\x2c20'::bytea || substring(v_line from v_end + 2);
        END IF;
    END LOOP;
    SELECT string_agg(pg_temp.reeve_json(u.name) || ':' || pg_temp.reeve_json(u.value), ',' ORDER BY u.place)
        INTO v_json FROM unnest(v_names, v_values) WITH ORDINALITY AS u (name, value, place);
    RETURN '{' || coalesce(v_json, '') || '}';
END $f$;

CREATE FUNCTION pg_temp.reeve_job_json(j reeve.jobs, p_queue bytea) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE
    v_states text[] := '{scheduled,ready,running,done,dead,cancelled}';
    v_endings text[] := '{done,failed,permanent,crashed,timed_out,released,cancelled,lost}';
    v_json text;
    v_history text;
    n record;
    s record;
BEGIN
    v_json := format('{"id":%s,"queue":%s,"state":"%s","priority":%s,"attempts":%s,"attempts_max":%s,"crashes":%s,'
                     '"created":%s,"run_at":%s,"started":%s,"ended":%s,"size":%s',
                     pg_temp.reeve_json(j.id), pg_temp.reeve_json(p_queue), v_states[j.state + 1], j.priority,
                     j.attempts, j.attempts_max, j.crashes, pg_temp.reeve_json_moment(j.created),
                     pg_temp.reeve_json_moment(j.run_at), pg_temp.reeve_json_moment(j.started),
                     pg_temp.reeve_json_moment(j.ended), j.body_size);
    IF j.key IS NOT NULL THEN v_json := v_json || ',"key":' || pg_temp.reeve_json(j.key); END IF;
    IF j.callback IS NOT NULL THEN v_json := v_json || ',"callback":' || pg_temp.reeve_json(j.callback); END IF;
    SELECT t.reason, t.progress INTO n FROM reeve.notes t WHERE t.seq = j.seq;
    IF n.reason <> '' THEN v_json := v_json || ',"reason":' || pg_temp.reeve_json(n.reason); END IF;
    IF n.progress <> '' THEN v_json := v_json || ',"progress":' || pg_temp.reeve_json(n.progress); END IF;
    IF j.state = 3 THEN
        SELECT t.content_type, t.size, t.cut, t.status, t.fields INTO s FROM reeve.results t WHERE t.seq = j.seq;
        v_json := v_json || format(',"result":{"type":%s,"size":%s',
                                   pg_temp.reeve_json(coalesce(s.content_type, ''::bytea)), coalesce(s.size, 0));
        IF s.cut THEN v_json := v_json || ',"cut":true'; END IF;
        IF s.status <> 0 THEN
            v_json := v_json || format(',"status":%s,"fields":%s', s.status, pg_temp.reeve_json_fields(s.fields));
        END IF;
        v_json := v_json || '}';
    END IF;
    SELECT string_agg(format('{"attempt":%s,"started":%s,"ended":%s,"ending":"%s"%s}', a.number,
                             pg_temp.reeve_json_moment(a.started), pg_temp.reeve_json_moment(a.ended),
                             v_endings[a.ending + 1],
                             CASE WHEN a.error = '' THEN '' ELSE ',"error":' || pg_temp.reeve_json(a.error) END),
                      ',' ORDER BY a.number)
        INTO v_history FROM reeve.attempts a WHERE a.seq = j.seq;
    IF v_history IS NOT NULL THEN v_json := v_json || ',"history":[' || v_history || ']'; END IF;
    RETURN v_json || '}';
END $f$;

-- Whoever wants to hear of its end will, if it is over. Its result is stored. Without a bound: there was room
-- for it when the job was taken.
CREATE FUNCTION pg_temp.reeve_tell(j reeve.jobs, p_now bigint, p_part integer) RETURNS void
LANGUAGE plpgsql AS $f$
DECLARE
    v_queue bytea;
    v_time text;
    v_random text;
    v_none bytea[] := ARRAY[''::bytea];
    v_zero bigint[] := '{0}';
BEGIN
    IF j.state < 3 OR j.callback IS NULL THEN RETURN; END IF;
    SELECT q.name INTO v_queue FROM reeve.queues q WHERE q.id = j.queue;
    -- one that tells itself is not told of
    IF substring(v_queue from greatest(length(v_queue) - 9, 1)) = ':callbacks'::bytea THEN RETURN; END IF;
    v_time := lpad(to_hex(p_now), 12, '0');
    v_random := replace(gen_random_uuid()::text, '-', '');
    PERFORM * FROM pg_temp.reeve_enqueue(
        p_now, p_part,
        ARRAY[convert_to(substr(v_time, 1, 8) || '-' || substr(v_time, 9, 4) || '-7' || substr(v_random, 14, 3) ||
                         '-' || substr(v_random, 17, 4) || '-' || substr(v_random, 21, 12), 'UTF8')],
        ARRAY[v_queue || ':callbacks'::bytea], ARRAY['application/json'::bytea],
        ARRAY[convert_to(pg_temp.reeve_job_json(j, v_queue), 'UTF8')], v_zero, ARRAY[0], v_zero, ARRAY[j.id],
        v_none, v_none, v_none, v_zero, ARRAY[j.callback], v_none, v_zero, v_zero, v_none);
END $f$;
)";
}

}  // namespace worker::jobs
