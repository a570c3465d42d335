// worker/jobs/postgres_functions_finish.cpp: what becomes of jobs once they run, and how they go in the end.
#include "worker/jobs/postgres_functions.h"

namespace worker::jobs {

std::string postgres_finish_functions() {
    return R"(
-- What follows from the end of an attempt; answers with the job as it is now. p_ending: as in job.h.
CREATE FUNCTION pg_temp.reeve_end(j reeve.jobs, p_ending integer, p_error bytea, p_again bigint,
                                  p_crashes_max bigint, p_now bigint) RETURNS reeve.jobs
LANGUAGE plpgsql AS $f$
DECLARE
    v_names text[] := '{done,failed,failed for good,crashed,timed out,given back,cancelled,lost}';
    v_why text;
    v_again bigint;
    v_started bigint := j.started;
BEGIN
    IF p_ending = 0 THEN
        j.state := 3;
    ELSIF p_ending = 6 THEN
        j.state := 5;
    ELSIF p_ending = 2 THEN
        j.state := 4;
        v_why := v_names[3];
    ELSIF p_ending = 5 THEN
        j.state := 1;
        j.attempts := j.attempts - 1;
    ELSE
        v_again := CASE WHEN p_ending IN (1, 4) THEN greatest(p_again, p_now) ELSE 0 END;
        IF p_ending = 3 THEN j.crashes := j.crashes + 1; END IF;
        IF j.attempts_max <> 0 AND j.attempts >= j.attempts_max THEN
            j.state := 4;
            v_why := format('%s in the last of %s attempts', v_names[p_ending + 1], j.attempts_max);
        ELSIF v_again > p_now THEN
            j.state := 0;
            j.run_at := v_again;
        ELSE
            j.state := 1;
        END IF;
        IF p_ending = 3 AND p_crashes_max <> 0 AND j.crashes >= p_crashes_max THEN
            j.state := 4;
            v_why := format('crashed %s times', j.crashes);
        END IF;
    END IF;
    IF j.cancelling AND p_ending <> 0 THEN
        j.state := 5;
        v_why := NULL;
    END IF;
    j.cancelling := false;
    j.owner := NULL;
    j.batch := 0;
    IF j.state >= 3 THEN j.ended := p_now; END IF;
    IF p_ending <> 5 THEN
        j.runs := j.runs + 1;
        INSERT INTO reeve.attempts VALUES (j.seq, j.runs, v_started, p_now, p_ending, j.fence, p_error);
        IF j.runs > 20 THEN
            DELETE FROM reeve.attempts a WHERE a.seq = j.seq AND a.number <= j.runs - 20;
        END IF;
    END IF;
    IF j.state = 3 THEN DELETE FROM reeve.payloads p WHERE p.seq = j.seq; END IF;
    IF v_why IS NOT NULL THEN
        INSERT INTO reeve.notes AS n (seq, reason)
            VALUES (j.seq, convert_to(v_why, 'UTF8') ||
                           CASE WHEN p_error = '' THEN p_error ELSE convert_to(': ', 'UTF8') || p_error END)
            ON CONFLICT (seq) DO UPDATE SET reason = excluded.reason;
    END IF;
    j.parked := j.state = 1 AND j.key IS NOT NULL AND
                pg_temp.reeve_behind_parked(j.queue, j.key, j.priority, j.run_at, j.seq);
    UPDATE reeve.jobs t SET state = j.state, parked = j.parked, run_at = j.run_at, attempts = j.attempts,
            runs = j.runs, crashes = j.crashes, owner = NULL, batch = 0, cancelling = false, ended = j.ended
        WHERE t.seq = j.seq;
    IF j.key IS NOT NULL AND (j.state <> 1 OR j.parked) THEN PERFORM pg_temp.reeve_give_key(j.queue, j.key); END IF;
    RETURN j;
END $f$;

CREATE FUNCTION pg_temp.reeve_finish(p_now bigint, p_part integer, p_ids bytea[], p_fences bigint[],
                                     p_endings integer[], p_errors bytea[], p_types bytea[], p_results bytea[],
                                     p_agains bigint[], p_crashes_max bigint[], p_cuts integer[],
                                     p_statuses integer[], p_fields bytea[])
RETURNS TABLE (accepted boolean, state integer) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    r record;
    j reeve.jobs;
    v_ending integer;
    v_queue integer;
    d bigint[];
BEGIN
    FOR r IN SELECT * FROM unnest(p_ids, p_fences, p_endings, p_errors, p_types, p_results, p_agains, p_crashes_max,
                                  p_cuts, p_statuses, p_fields)
             AS u (id, fence, ending, error, type, result, again, crashes_max, cut, status, fields)
    LOOP
        accepted := false;
        state := 3;
        SELECT * INTO j FROM reeve.jobs t WHERE t.id = r.id FOR UPDATE;
        IF FOUND AND j.fence = r.fence THEN
            IF j.state <> 2 THEN -- said again, as whoever says it did not get the answer
                SELECT a.ending INTO v_ending FROM reeve.attempts a
                    WHERE a.seq = j.seq AND a.number = j.runs AND a.fence = r.fence;
                accepted := FOUND AND v_ending = r.ending;
                state := j.state;
            ELSE
                IF v_queue IS DISTINCT FROM j.queue THEN
                    IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
                    v_queue := j.queue;
                    d := '{0,0,0,0,0,0,0}';
                END IF;
                j := pg_temp.reeve_end(j, r.ending, r.error, r.again, r.crashes_max, p_now);
                d[3] := d[3] - 1;
                d[j.state + 1] := d[j.state + 1] + 1;
                IF j.state >= 3 THEN d[7] := d[7] - j.body_size; END IF;
                IF r.ending = 0 AND NOT (r.result = '' AND r.type = '' AND r.cut = 0 AND r.status = 0) THEN
                    INSERT INTO reeve.results AS s (seq, content_type, size, cut, body, status, fields)
                        VALUES (j.seq, r.type, length(r.result), r.cut <> 0, r.result, r.status, r.fields)
                        ON CONFLICT (seq) DO UPDATE SET content_type = excluded.content_type,
                            size = excluded.size, cut = excluded.cut, body = excluded.body,
                            status = excluded.status, fields = excluded.fields;
                END IF;
                PERFORM pg_temp.reeve_tell(j, p_now, p_part);
                accepted := true;
                state := j.state;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
END $f$;

CREATE FUNCTION pg_temp.reeve_progress(p_id bytea, p_fence bigint, p_text bytea)
RETURNS TABLE (accepted boolean, cancelling boolean) LANGUAGE plpgsql AS $f$
DECLARE j reeve.jobs;
BEGIN
    SELECT * INTO j FROM reeve.jobs t WHERE t.id = p_id AND t.state = 2 AND t.fence = p_fence;
    IF FOUND THEN
        INSERT INTO reeve.notes AS n (seq, progress) VALUES (j.seq, p_text)
            ON CONFLICT (seq) DO UPDATE SET progress = excluded.progress;
        RETURN QUERY SELECT true, j.cancelling;
    END IF;
END $f$;

-- One that is not running has become another state.
CREATE FUNCTION pg_temp.reeve_became(b reeve.jobs, j reeve.jobs, p_part integer) RETURNS void
LANGUAGE plpgsql AS $f$
DECLARE d bigint[] := '{0,0,0,0,0,0,0}';
BEGIN
    d[b.state + 1] := -1;
    d[j.state + 1] := d[j.state + 1] + 1;
    d[7] := CASE WHEN j.state >= 3 THEN 0 ELSE j.body_size END - CASE WHEN b.state >= 3 THEN 0 ELSE b.body_size END;
    PERFORM pg_temp.reeve_count(j.queue, p_part, d);
    IF j.key IS NOT NULL AND b.state = 1 AND NOT b.parked AND (j.state <> 1 OR j.parked) THEN
        PERFORM pg_temp.reeve_give_key(j.queue, j.key);
    END IF;
END $f$;

CREATE FUNCTION pg_temp.reeve_cancel(p_now bigint, p_part integer, p_id bytea)
RETURNS TABLE (what integer, fence bigint, owner bytea) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    b reeve.jobs;
    j reeve.jobs;
BEGIN
    SELECT * INTO b FROM reeve.jobs t WHERE t.id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        what := 3;
    ELSIF b.state >= 3 THEN
        what := 2;
    ELSIF b.state = 2 THEN
        what := 1;
        fence := b.fence;
        owner := b.owner;
        IF NOT b.cancelling THEN UPDATE reeve.jobs t SET cancelling = true WHERE t.seq = b.seq; END IF;
    ELSE
        what := 0;
        UPDATE reeve.jobs t SET state = 5, parked = false, ended = p_now WHERE t.seq = b.seq RETURNING t.* INTO j;
        PERFORM pg_temp.reeve_became(b, j, p_part);
        PERFORM pg_temp.reeve_tell(j, p_now, p_part);
    END IF;
    RETURN NEXT;
END $f$;

CREATE FUNCTION pg_temp.reeve_retry(p_now bigint, p_part integer, p_id bytea)
RETURNS TABLE (what integer, queue bytea) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    b reeve.jobs;
    j reeve.jobs;
BEGIN
    SELECT * INTO b FROM reeve.jobs t WHERE t.id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        what := 4;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT q.name INTO queue FROM reeve.queues q WHERE q.id = b.queue;
    IF b.state IN (1, 2) THEN
        what := 1;
    ELSIF b.state = 3 THEN
        what := 2;
    ELSIF b.state >= 4 AND b.uniq IS NOT NULL AND EXISTS (
        SELECT FROM reeve.jobs t WHERE t.queue = b.queue AND t.uniq = b.uniq AND t.state <= 2) THEN
        what := 3;
    ELSE
        what := 0;
        j := b;
        IF b.state >= 4 THEN
            j.attempts := 0;
            j.crashes := 0;
            j.ended := 0;
            UPDATE reeve.notes n SET reason = '' WHERE n.seq = b.seq;
        END IF;
        j.state := 1;
        j.run_at := p_now;
        j.parked := pg_temp.reeve_behind_parked(j.queue, j.key, j.priority, j.run_at, j.seq);
        UPDATE reeve.jobs t SET state = 1, parked = j.parked, run_at = p_now, attempts = j.attempts,
            crashes = j.crashes, ended = j.ended WHERE t.seq = j.seq;
        PERFORM pg_temp.reeve_became(b, j, p_part);
    END IF;
    RETURN NEXT;
END $f$;

-- p_how: 0 those of p_owners, 1 those whose owner has no lease, 2 what p_batch of p_owners was given. At most a
-- thousand, so that many do not take longer than a batch may. queues, jobs: how many of which, one after another.
CREATE FUNCTION pg_temp.reeve_recover(p_now bigint, p_part integer, p_clock bigint, p_how integer,
                                      p_owners bytea[], p_batch bigint, OUT recovered bigint, OUT more boolean,
                                      OUT queues integer[], OUT jobs bigint[])
LANGUAGE plpgsql AS $f$
DECLARE
    r record;
    j reeve.jobs;
    d bigint[];
    v_queue integer;
    v_seen bigint := 0;
    v_clock bigint := pg_temp.reeve_clock(p_clock);
BEGIN
    recovered := 0;
    FOR r IN SELECT t.seq FROM reeve.jobs t WHERE t.state = 2 AND
        CASE p_how WHEN 0 THEN t.owner = ANY (p_owners)
                   WHEN 1 THEN NOT EXISTS (SELECT FROM reeve.owners o WHERE o.owner = t.owner AND o.lease > v_clock)
                   ELSE t.owner = ANY (p_owners) AND t.batch = p_batch END
        ORDER BY t.seq LIMIT 1000
    LOOP
        v_seen := v_seen + 1;
        SELECT * INTO j FROM reeve.jobs t WHERE t.seq = r.seq AND t.state = 2 AND
            CASE p_how WHEN 0 THEN t.owner = ANY (p_owners)
                       WHEN 1 THEN NOT EXISTS (SELECT FROM reeve.owners o WHERE o.owner = t.owner AND o.lease > v_clock)
                       ELSE t.owner = ANY (p_owners) AND t.batch = p_batch END
            FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        j := pg_temp.reeve_end(j, CASE WHEN p_how = 2 THEN 5 ELSE 7 END,
                               CASE WHEN p_how = 2 THEN ''::bytea ELSE 'who ran it is gone'::bytea END, 0, 0, p_now);
        IF v_queue IS DISTINCT FROM j.queue THEN
            IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
            v_queue := j.queue;
            d := '{0,0,0,0,0,0,0}';
            queues := queues || v_queue;
            jobs := jobs || 0::bigint;
        END IF;
        jobs[cardinality(jobs)] := jobs[cardinality(jobs)] + 1;
        d[3] := d[3] - 1;
        d[j.state + 1] := d[j.state + 1] + 1;
        IF j.state >= 3 THEN d[7] := d[7] - j.body_size; END IF;
        PERFORM pg_temp.reeve_tell(j, p_now, p_part);
        recovered := recovered + 1;
    END LOOP;
    IF v_queue IS NOT NULL THEN PERFORM pg_temp.reeve_count(v_queue, p_part, d); END IF;
    more := v_seen = 1000 AND recovered > 0; -- else others are at them
    IF p_how = 1 THEN DELETE FROM reeve.owners o WHERE o.lease < v_clock - 86400000; END IF;
END $f$;
)";
}

std::string postgres_removal_functions() {
    return R"(
-- The first of them, as many as have p_bytes of bodies, results and attempts together, but for one.
CREATE FUNCTION pg_temp.reeve_bounded(p_seqs bigint[], p_bytes bigint) RETURNS bigint[] LANGUAGE sql AS $f$
    SELECT coalesce(array_agg(s.seq ORDER BY s.place), '{}') FROM (
        SELECT u.seq, u.place, sum(CASE WHEN j.state = 3 THEN coalesce(r.size, 0) ELSE j.body_size END +
                                   1024 * least(j.runs, 20))
                   OVER (ORDER BY u.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM unnest(p_seqs) WITH ORDINALITY AS u (seq, place) JOIN reeve.jobs j ON j.seq = u.seq
        LEFT JOIN reeve.results r ON r.seq = u.seq) s
    WHERE s.before IS NULL OR s.before < p_bytes
$f$;

-- Those with these seq, with all that belongs to them. What its idempotency key says stays for its time if a job
-- was over; else the key is free again.
CREATE FUNCTION pg_temp.reeve_erase(p_part integer, p_seqs bigint[]) RETURNS void LANGUAGE plpgsql AS $f$
DECLARE
    r record;
    d bigint[];
    v_queue integer;
BEGIN
    DELETE FROM reeve.idempotency k USING reeve.jobs j, reeve.payloads p
        WHERE j.seq = ANY (p_seqs) AND j.state <= 2 AND p.seq = j.seq AND k.queue = j.queue
          AND k.key = p.idempotency_key AND k.id = j.id;
    FOR r IN
        WITH gone AS (DELETE FROM reeve.jobs j WHERE j.seq = ANY (p_seqs)
                      RETURNING j.queue, j.state, j.key, j.parked, j.body_size)
        SELECT g.queue, g.state, count(*) AS jobs, sum(CASE WHEN g.state <= 2 THEN g.body_size ELSE 0 END)::bigint AS bytes,
               array_agg(DISTINCT g.key) FILTER (WHERE g.key IS NOT NULL AND g.state = 1 AND NOT g.parked) AS keys
        FROM gone g GROUP BY g.queue, g.state ORDER BY g.queue, g.state
    LOOP
        d := '{0,0,0,0,0,0,0}';
        d[r.state + 1] := -r.jobs;
        d[7] := -r.bytes;
        PERFORM pg_temp.reeve_count(r.queue, p_part, d);
        IF r.keys IS NOT NULL THEN
            PERFORM pg_temp.reeve_give_key(r.queue, k.key) FROM unnest(r.keys) AS k (key);
        END IF;
    END LOOP;
    DELETE FROM reeve.payloads t WHERE t.seq = ANY (p_seqs);
    DELETE FROM reeve.results t WHERE t.seq = ANY (p_seqs);
    DELETE FROM reeve.notes t WHERE t.seq = ANY (p_seqs);
    DELETE FROM reeve.attempts t WHERE t.seq = ANY (p_seqs);
END $f$;

CREATE FUNCTION pg_temp.reeve_purge(p_part integer, p_queue bytea, p_states integer[], p_before bigint,
                                    p_bytes bigint, OUT purged bigint, OUT more boolean) LANGUAGE plpgsql AS $f$
DECLARE
    v_queue integer;
    v_state integer;
    v_found bigint[] := '{}';
    v_gone bigint[];
BEGIN
    purged := 0;
    more := false;
    SELECT q.id INTO v_queue FROM reeve.queues q WHERE q.name = p_queue;
    IF NOT FOUND THEN RETURN; END IF;
    FOREACH v_state IN ARRAY p_states LOOP
        -- in the order they came in, which is that of `created` but for steps of the clock
        v_found := v_found || ARRAY(
            SELECT s.seq FROM (SELECT t.seq, t.created FROM reeve.jobs t WHERE t.queue = v_queue AND t.state = v_state
                               ORDER BY t.seq LIMIT 2000 FOR UPDATE SKIP LOCKED) s
            WHERE p_before = 0 OR s.created < p_before ORDER BY s.seq LIMIT 1000 - cardinality(v_found));
    END LOOP;
    v_gone := pg_temp.reeve_bounded(v_found, p_bytes);
    PERFORM pg_temp.reeve_erase(p_part, v_gone);
    purged := cardinality(v_gone);
    more := purged < cardinality(v_found) OR purged = 1000;
END $f$;

CREATE FUNCTION pg_temp.reeve_expire(p_now bigint, p_part integer, p_queues bytea[], p_ended bigint[], p_dead bigint[],
                                     p_bytes bigint, OUT expired bigint, OUT more boolean) LANGUAGE plpgsql AS $f$
DECLARE
    r record;
    v_found bigint[] := '{}';
    v_gone bigint[];
    v_keys bigint;
    v_runs bigint;
BEGIN
    FOR r IN SELECT q.id AS queue, s.state, CASE WHEN s.state = 4 THEN u.dead ELSE u.ended END AS before
             FROM unnest(p_queues, p_ended, p_dead) AS u (name, ended, dead)
             JOIN reeve.queues q ON q.name = u.name CROSS JOIN (VALUES (3), (5), (4)) AS s (state)
    LOOP
        v_found := v_found || ARRAY(
            SELECT t.seq FROM reeve.jobs t WHERE t.state >= 3 AND t.queue = r.queue AND t.state = r.state
                AND t.ended < r.before ORDER BY t.ended LIMIT 1000 - cardinality(v_found) FOR UPDATE SKIP LOCKED);
    END LOOP;
    v_gone := pg_temp.reeve_bounded(v_found, p_bytes);
    PERFORM pg_temp.reeve_erase(p_part, v_gone);
    DELETE FROM reeve.idempotency k WHERE ROW(k.queue, k.key) IN (
        SELECT i.queue, i.key FROM reeve.idempotency i WHERE i.until <= p_now LIMIT 1000 FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_keys = ROW_COUNT;
    -- older runs of a schedule are not asked for again; its last one is kept for ever
    DELETE FROM reeve.fired f WHERE ROW(f.schedule, f.due) IN (
        SELECT o.schedule, o.due FROM reeve.fired o WHERE o.due < p_now - 691200000 AND EXISTS (
            SELECT FROM reeve.fired l WHERE l.schedule = o.schedule AND l.due > o.due)
        LIMIT 1000 FOR UPDATE OF o SKIP LOCKED);
    GET DIAGNOSTICS v_runs = ROW_COUNT;
    expired := cardinality(v_gone);
    more := expired < cardinality(v_found) OR expired = 1000 OR v_keys = 1000 OR v_runs = 1000;
END $f$;

CREATE FUNCTION pg_temp.reeve_stats()
RETURNS TABLE (name bytea, paused boolean, scheduled bigint, ready bigint, running bigint, done bigint, dead bigint,
               cancelled bigint, bytes bigint, oldest_ready bigint, next_scheduled bigint) LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    q record;
    r record;
    v_priority integer;
BEGIN
    FOR q IN SELECT t.id, t.name, t.paused, coalesce(sum(c.scheduled), 0)::bigint AS scheduled,
                    coalesce(sum(c.ready), 0)::bigint AS ready, coalesce(sum(c.running), 0)::bigint AS running,
                    coalesce(sum(c.done), 0)::bigint AS done, coalesce(sum(c.dead), 0)::bigint AS dead,
                    coalesce(sum(c.cancelled), 0)::bigint AS cancelled, coalesce(sum(c.bytes), 0)::bigint AS bytes
             FROM reeve.queues t LEFT JOIN reeve.counts c ON c.queue = t.id GROUP BY t.id, t.name, t.paused ORDER BY t.name
    LOOP
        -- the first of each priority is looked at, and no other
        oldest_ready := 0;
        v_priority := 2147483647;
        LOOP
            SELECT j.priority, j.run_at INTO r FROM reeve.jobs j
                WHERE j.state = 1 AND NOT j.parked AND j.queue = q.id AND j.priority < v_priority
                ORDER BY j.priority DESC, j.run_at LIMIT 1;
            EXIT WHEN NOT FOUND;
            v_priority := r.priority;
            oldest_ready := CASE WHEN oldest_ready = 0 THEN r.run_at ELSE least(oldest_ready, r.run_at) END;
        END LOOP;
        SELECT j.run_at INTO next_scheduled FROM reeve.jobs j WHERE j.state = 0 AND j.queue = q.id
            ORDER BY j.run_at LIMIT 1;
        name := q.name;
        paused := q.paused;
        scheduled := q.scheduled;
        ready := q.ready;
        running := q.running;
        done := q.done;
        dead := q.dead;
        cancelled := q.cancelled;
        bytes := q.bytes;
        RETURN NEXT;
    END LOOP;
END $f$;
)";
}

}  // namespace worker::jobs
