// worker/jobs/postgres_functions_enqueue.cpp: what all functions share, and how jobs come in.
#include "worker/jobs/postgres_functions.h"

namespace worker::jobs {

// Jobs with a key. Two nodes that change who holds a key, or look whether somebody does, do so one after
// another: under a lock of the transaction, of which there are 256 a queue. A ready job is parked only under
// it; see SqliteJobs for what parked ones are sure of.
std::string postgres_common_functions() {
    return R"(
CREATE FUNCTION pg_temp.reeve_queue(p_name bytea) RETURNS integer LANGUAGE plpgsql AS $f$
DECLARE v_id integer;
BEGIN
    SELECT q.id INTO v_id FROM reeve.queues q WHERE q.name = p_name;
    IF FOUND THEN RETURN v_id; END IF;
    INSERT INTO reeve.queues (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING;
    SELECT q.id INTO v_id FROM reeve.queues q WHERE q.name = p_name;
    RETURN v_id;
END $f$;

-- d: what is added to the number of jobs of each state, and then to the bytes.
CREATE FUNCTION pg_temp.reeve_count(p_queue integer, p_part integer, d bigint[]) RETURNS void
LANGUAGE plpgsql AS $f$
BEGIN
    IF d = '{0,0,0,0,0,0,0}' THEN RETURN; END IF;
    UPDATE reeve.counts c SET scheduled = scheduled + d[1], ready = ready + d[2], running = running + d[3],
        done = done + d[4], dead = dead + d[5], cancelled = cancelled + d[6], bytes = bytes + d[7]
        WHERE c.queue = p_queue AND c.part = p_part;
    IF NOT FOUND THEN
        INSERT INTO reeve.counts VALUES (p_queue, p_part, d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
    END IF;
END $f$;

CREATE FUNCTION pg_temp.reeve_bucket(p_queue integer, p_key bytea) RETURNS integer LANGUAGE sql IMMUTABLE AS $f$
    SELECT p_queue * 256 + (hashtext(encode(p_key, 'hex')) & 255)
$f$;

-- Whether a ready job with the same key is parked that comes before this one.
CREATE FUNCTION pg_temp.reeve_behind_parked(p_queue integer, p_key bytea, p_priority integer, p_run_at bigint,
                                            p_seq bigint) RETURNS boolean LANGUAGE plpgsql AS $f$
DECLARE p record;
BEGIN
    IF p_key IS NULL THEN RETURN false; END IF;
    FOR look IN 1 .. 2 LOOP
        SELECT j.priority, j.run_at, j.seq INTO p FROM reeve.jobs j
            WHERE j.state = 1 AND j.parked AND j.queue = p_queue AND j.key = p_key
            ORDER BY j.priority DESC, j.run_at, j.seq LIMIT 1;
        IF NOT FOUND THEN RETURN false; END IF;
        IF look = 1 THEN PERFORM pg_advisory_xact_lock(1919247723, pg_temp.reeve_bucket(p_queue, p_key)); END IF;
    END LOOP;
    RETURN ROW(-p.priority, p.run_at, p.seq) < ROW(-p_priority, p_run_at, p_seq);
END $f$;

-- To the first parked one with that key, if there is any.
CREATE FUNCTION pg_temp.reeve_give_key(p_queue integer, p_key bytea) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    PERFORM pg_advisory_xact_lock(1919247723, pg_temp.reeve_bucket(p_queue, p_key));
    UPDATE reeve.jobs SET parked = false WHERE seq = (
        SELECT j.seq FROM reeve.jobs j WHERE j.state = 1 AND j.parked AND j.queue = p_queue AND j.key = p_key
        ORDER BY j.priority DESC, j.run_at, j.seq LIMIT 1);
END $f$;

-- All that a batch will change, in one order for all nodes, so that none waits for another that waits for it.
CREATE FUNCTION pg_temp.reeve_lock(p_ids bytea[]) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    PERFORM pg_advisory_xact_lock(1919247723, s.bucket) FROM (
        SELECT DISTINCT pg_temp.reeve_bucket(j.queue, j.key) AS bucket FROM reeve.jobs j
        WHERE j.id = ANY (p_ids) AND j.key IS NOT NULL ORDER BY 1) s;
    PERFORM j.seq FROM reeve.jobs j WHERE j.id = ANY (p_ids) ORDER BY j.seq FOR UPDATE;
END $f$;
)";
}

std::string postgres_enqueue_functions() {
    return R"(
-- How much waits to be told of the ends of jobs of that queue.
CREATE FUNCTION pg_temp.reeve_untold(p_queue bytea, OUT jobs bigint, OUT bytes bigint) LANGUAGE sql AS $f$
    SELECT coalesce(sum(c.scheduled + c.ready + c.running), 0)::bigint, coalesce(sum(c.bytes), 0)::bigint
        FROM reeve.queues q JOIN reeve.counts c ON c.queue = q.id WHERE q.name = p_queue || ':callbacks'::bytea
$f$;

CREATE FUNCTION pg_temp.reeve_enqueue(
    p_now bigint, p_part integer, p_ids bytea[], p_queues bytea[], p_types bytea[], p_bodies bytea[],
    p_run_ats bigint[], p_priorities integer[], p_attempts bigint[], p_keys bytea[], p_uniqs bytea[],
    p_idems bytea[], p_prints bytea[], p_untils bigint[], p_callbacks bytea[], p_traces bytea[],
    p_room_jobs bigint[], p_room_bytes bigint[], p_requests bytea[])
RETURNS TABLE (what integer, id bytea, state integer) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    r record;
    i record;
    v_name bytea;
    v_queue integer;
    v_counted boolean;
    v_jobs bigint;
    v_bytes bigint;
    v_told_jobs bigint;
    v_told_bytes bigint;
    v_size bigint;
    v_full boolean;
    v_seq bigint;
    v_state integer;
    v_run_at bigint;
    v_plain boolean;
    v_what integer;
    v_id bytea;
    d bigint[];
BEGIN
    FOR r IN SELECT * FROM unnest(p_ids, p_queues, p_types, p_bodies, p_run_ats, p_priorities, p_attempts, p_keys,
                                  p_uniqs, p_idems, p_prints, p_untils, p_callbacks, p_traces, p_room_jobs,
                                  p_room_bytes, p_requests)
             AS u (id, queue, type, body, run_at, priority, attempts, key, uniq, idem, print, until, callback,
                   trace, room_jobs, room_bytes, request)
    LOOP
        IF v_name IS DISTINCT FROM r.queue THEN
            IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
            v_name := r.queue;
            v_queue := pg_temp.reeve_queue(r.queue);
            d := '{0,0,0,0,0,0,0}';
            SELECT coalesce(sum(c.scheduled + c.ready + c.running), 0)::bigint, coalesce(sum(c.bytes), 0)::bigint
                INTO v_jobs, v_bytes FROM reeve.counts c WHERE c.queue = v_queue;
            v_told_jobs := NULL;
        END IF;
        v_size := length(r.body) + length(r.request);
        v_plain := r.idem = '' AND r.uniq = '';
        v_full := (r.room_jobs <> 0 AND v_jobs + 1 > r.room_jobs) OR
                  (r.room_bytes <> 0 AND v_bytes + v_size > r.room_bytes);
        -- its end will be told whatever happens: where that many wait to be told, no more are taken
        IF r.callback <> '' AND (r.room_jobs <> 0 OR r.room_bytes <> 0) THEN
            IF v_told_jobs IS NULL THEN
                SELECT t.jobs, t.bytes INTO v_told_jobs, v_told_bytes FROM pg_temp.reeve_untold(r.queue) AS t;
            END IF;
            v_full := v_full OR (r.room_jobs <> 0 AND v_told_jobs + 1 > r.room_jobs) OR
                      (r.room_bytes <> 0 AND v_told_bytes + 1 > r.room_bytes);
        END IF;
        v_what := NULL;
        -- once, unless another node is doing the same
        FOR look IN 1 .. 20 LOOP
            IF look > 1 OR v_full OR NOT v_plain THEN
                SELECT j.id, j.state INTO v_id, v_state FROM reeve.jobs j WHERE j.id = r.id;
                IF FOUND THEN v_what := 1; EXIT; END IF;
            END IF;
            IF r.idem <> '' THEN
                SELECT k.fingerprint, k.id INTO i FROM reeve.idempotency k
                    WHERE k.queue = v_queue AND k.key = r.idem AND k.until > p_now;
                IF FOUND THEN
                    v_id := i.id;
                    v_state := 3;
                    v_what := 2;
                    IF i.fingerprint = r.print THEN
                        v_what := 1;
                        SELECT j.state INTO v_state FROM reeve.jobs j WHERE j.id = i.id;
                        v_state := coalesce(v_state, 3);
                    END IF;
                    EXIT;
                END IF;
            END IF;
            IF r.uniq <> '' THEN
                SELECT j.id, j.state INTO v_id, v_state FROM reeve.jobs j
                    WHERE j.queue = v_queue AND j.uniq = r.uniq AND j.state <= 2;
                IF FOUND THEN v_what := 1; EXIT; END IF;
            END IF;
            IF v_full THEN
                v_what := 3;
                v_id := '';
                v_state := 1;
                EXIT;
            END IF;

            IF r.idem <> '' THEN
                INSERT INTO reeve.idempotency AS k (queue, key, fingerprint, until, id)
                    VALUES (v_queue, r.idem, r.print, r.until, r.id)
                    ON CONFLICT (queue, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                        until = excluded.until, id = excluded.id WHERE k.until <= p_now;
                CONTINUE WHEN NOT FOUND;
            END IF;
            v_id := r.id;
            v_state := CASE WHEN r.run_at > p_now THEN 0 ELSE 1 END;
            v_run_at := greatest(r.run_at, p_now); -- who asks for a time long past goes before nobody
            INSERT INTO reeve.jobs (id, queue, state, parked, priority, run_at, created, key, uniq, attempts_max,
                                    body_size, callback)
                VALUES (r.id, v_queue, v_state,
                        v_state = 1 AND r.key <> '' AND pg_temp.reeve_behind_parked(
                            v_queue, r.key, r.priority, v_run_at, 9223372036854775807),
                        r.priority, v_run_at, p_now, nullif(r.key, ''), nullif(r.uniq, ''), r.attempts, v_size,
                        nullif(r.callback, ''))
                ON CONFLICT DO NOTHING RETURNING seq INTO v_seq;
            IF NOT FOUND THEN
                DELETE FROM reeve.idempotency k WHERE k.queue = v_queue AND k.key = r.idem AND k.id = r.id;
                CONTINUE;
            END IF;
            INSERT INTO reeve.payloads (seq, content_type, trace, idempotency_key, body, request)
                VALUES (v_seq, r.type, nullif(r.trace, ''), nullif(r.idem, ''), r.body, nullif(r.request, ''));
            d[v_state + 1] := d[v_state + 1] + 1;
            d[7] := d[7] + v_size;
            v_jobs := v_jobs + 1;
            v_bytes := v_bytes + v_size;
            v_what := 0;
            EXIT;
        END LOOP;
        IF v_what IS NULL THEN RAISE serialization_failure; END IF;
        what := v_what;
        id := v_id;
        state := v_state;
        RETURN NEXT;
    END LOOP;
    IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
END $f$;

-- Jobs of one queue with nothing that could be there already but their ids, which differ: all at once, which is
-- three times as fast as one after another.
CREATE FUNCTION pg_temp.reeve_enqueue_plain(
    p_now bigint, p_part integer, p_ids bytea[], p_queue bytea, p_types bytea[], p_bodies bytea[],
    p_run_ats bigint[], p_priorities integer[], p_attempts bigint[], p_callbacks bytea[], p_traces bytea[],
    p_room_jobs bigint, p_room_bytes bigint, p_requests bytea[])
RETURNS TABLE (what integer, id bytea, state integer) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    v_queue integer := pg_temp.reeve_queue(p_queue);
    v_count integer := cardinality(p_ids);
    v_jobs bigint;
    v_bytes bigint;
    v_more bigint;
    v_told boolean := false;
    v_none bytea[];
    v_whats integer[];
    v_states integer[];
    v_scheduled bigint;
    v_ready bigint;
BEGIN
    SELECT coalesce(sum(c.scheduled + c.ready + c.running), 0)::bigint, coalesce(sum(c.bytes), 0)::bigint
        INTO v_jobs, v_bytes FROM reeve.counts c WHERE c.queue = v_queue;
    SELECT coalesce(sum(length(u.body) + length(u.request)), 0)::bigint, coalesce(bool_or(u.callback <> ''), false)
        INTO v_more, v_told FROM unnest(p_bodies, p_requests, p_callbacks) AS u (body, request, callback);
    IF v_told AND (p_room_jobs <> 0 OR p_room_bytes <> 0) THEN
        SELECT (p_room_jobs <> 0 AND t.jobs + 1 > p_room_jobs) OR (p_room_bytes <> 0 AND t.bytes + 1 > p_room_bytes)
            INTO v_told FROM pg_temp.reeve_untold(p_queue) AS t;
    ELSE
        v_told := false;
    END IF;
    IF v_told OR (p_room_jobs <> 0 AND v_jobs + v_count > p_room_jobs) OR
       (p_room_bytes <> 0 AND v_bytes + v_more > p_room_bytes) THEN
        v_none := array_fill(''::bytea, ARRAY[v_count]);
        RETURN QUERY SELECT * FROM pg_temp.reeve_enqueue(
            p_now, p_part, p_ids, array_fill(p_queue, ARRAY[v_count]), p_types, p_bodies, p_run_ats, p_priorities,
            p_attempts, v_none, v_none, v_none, v_none, array_fill(0::bigint, ARRAY[v_count]), p_callbacks,
            p_traces, array_fill(p_room_jobs, ARRAY[v_count]), array_fill(p_room_bytes, ARRAY[v_count]),
            p_requests);
        RETURN;
    END IF;
    WITH r AS MATERIALIZED (
        SELECT * FROM unnest(p_ids, p_types, p_bodies, p_run_ats, p_priorities, p_attempts, p_callbacks, p_traces,
                             p_requests)
            WITH ORDINALITY AS u (id, type, body, run_at, priority, attempts, callback, trace, request, place)
    ), n AS (
        INSERT INTO reeve.jobs (id, queue, state, priority, run_at, created, attempts_max, body_size, callback)
            SELECT r.id, v_queue, CASE WHEN r.run_at > p_now THEN 0 ELSE 1 END, r.priority,
                   greatest(r.run_at, p_now), p_now, r.attempts, length(r.body) + length(r.request),
                   nullif(r.callback, '')
            FROM r ORDER BY r.place
            ON CONFLICT DO NOTHING RETURNING seq, id, state, body_size
    ), p AS (
        INSERT INTO reeve.payloads (seq, content_type, trace, body, request)
            SELECT n.seq, r.type, nullif(r.trace, ''), r.body, nullif(r.request, '') FROM n JOIN r ON r.id = n.id
    )
    SELECT array_agg(CASE WHEN n.id IS NULL THEN 1 ELSE 0 END ORDER BY r.place),
           array_agg(coalesce(n.state::integer,
                              (SELECT j.state::integer FROM reeve.jobs j WHERE n.id IS NULL AND j.id = r.id),
                              1) ORDER BY r.place),
           count(n.id) FILTER (WHERE n.state = 0), count(n.id) FILTER (WHERE n.state = 1),
           coalesce(sum(n.body_size), 0)::bigint
        INTO v_whats, v_states, v_scheduled, v_ready, v_more FROM r LEFT JOIN n ON n.id = r.id;
    PERFORM pg_temp.reeve_count(v_queue, p_part, ARRAY[v_scheduled, v_ready, 0, 0, 0, 0, v_more]);
    RETURN QUERY SELECT * FROM unnest(v_whats, p_ids, v_states);
END $f$;

CREATE FUNCTION pg_temp.reeve_fire(
    p_schedule bytea, p_due bigint, p_now bigint, p_part integer, p_ids bytea[], p_queues bytea[],
    p_types bytea[], p_bodies bytea[], p_run_ats bigint[], p_priorities integer[], p_attempts bigint[],
    p_keys bytea[], p_uniqs bytea[], p_idems bytea[], p_prints bytea[], p_untils bigint[], p_callbacks bytea[],
    p_traces bytea[], p_room_jobs bigint[], p_room_bytes bigint[], p_requests bytea[])
RETURNS TABLE (what integer, id bytea, state integer) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE r record;
BEGIN
    INSERT INTO reeve.fired (schedule, due, id) VALUES (p_schedule, p_due, '') ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 1, f.id, coalesce(j.state::integer, 3) FROM reeve.fired f
            LEFT JOIN reeve.jobs j ON j.id = f.id WHERE f.schedule = p_schedule AND f.due = p_due;
        RETURN;
    END IF;
    SELECT * INTO r FROM pg_temp.reeve_enqueue(
        p_now, p_part, p_ids, p_queues, p_types, p_bodies, p_run_ats, p_priorities, p_attempts, p_keys, p_uniqs,
        p_idems, p_prints, p_untils, p_callbacks, p_traces, p_room_jobs, p_room_bytes, p_requests);
    IF r.what = 3 THEN -- a run that finds the queue full may be tried again
        DELETE FROM reeve.fired f WHERE f.schedule = p_schedule AND f.due = p_due;
    ELSE
        UPDATE reeve.fired f SET id = r.id WHERE f.schedule = p_schedule AND f.due = p_due;
    END IF;
    RETURN QUERY SELECT r.what, r.id, r.state;
END $f$;
)";
}

}  // namespace worker::jobs
