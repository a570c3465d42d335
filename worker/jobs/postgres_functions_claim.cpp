// worker/jobs/postgres_functions_claim.cpp: how jobs are given out, and how those who have them stay alive.
#include "worker/jobs/postgres_functions.h"

namespace worker::jobs {

// Nobody waits for another node that claims: what that has locked is not seen (SKIP LOCKED), and a key whose
// lock it holds is passed over. The work of one claim is bounded. p_clock: null, or what the time is.
// Machines are told from each other by what stands before the first colon of their owners' names, see
// owner_name.h: all owners of one count for its p_running_max, and none of another's.
std::string postgres_claim_functions() {
    return R"(
CREATE FUNCTION pg_temp.reeve_clock(p_clock bigint) RETURNS bigint LANGUAGE sql AS $f$
    SELECT coalesce(p_clock, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$f$;

CREATE FUNCTION pg_temp.reeve_extend(p_clock bigint, p_owner bytea, p_lease bigint) RETURNS void
LANGUAGE plpgsql AS $f$
DECLARE v_until bigint := pg_temp.reeve_clock(p_clock) + p_lease;
BEGIN
    INSERT INTO reeve.owners AS o VALUES (p_owner, v_until)
        ON CONFLICT (owner) DO UPDATE SET lease = v_until WHERE o.lease < v_until;
END $f$;

CREATE FUNCTION pg_temp.reeve_pause(p_queue bytea, p_paused boolean) RETURNS void LANGUAGE plpgsql AS $f$
DECLARE v_queue integer := pg_temp.reeve_queue(p_queue);
BEGIN
    UPDATE reeve.queues q SET paused = p_paused WHERE q.id = v_queue;
END $f$;

CREATE FUNCTION pg_temp.reeve_claim(
    p_now bigint, p_part integer, p_clock bigint, p_queue bytea, p_owner bytea, p_count bigint,
    p_key_concurrency integer, p_lease bigint, p_batch bigint, p_running_max bigint, p_bytes_max bigint)
RETURNS TABLE (next bigint, id bytea, content_type bytea, body bytea, key bytea, callback bytea, trace bytea,
               fence bigint, attempt bigint, attempts bigint, crashes bigint, created bigint, run_at bigint,
               held boolean, request bytea)
LANGUAGE plpgsql AS $f$
#variable_conflict use_column
DECLARE
    q record;
    r record;
    j reeve.jobs;
    v_all boolean := true;
    v_count bigint;
    v_given bigint := 0;
    v_max bigint := p_count;
    v_bytes bigint := 0;
    v_machine bytea := substring(p_owner from 1 for position(':'::bytea in p_owner));
    v_seen bigint := 0;
    v_parked bigint := 0;
    -- so many are looked at: other nodes may have some, and some are passed over as their key has no place free
    v_window bigint := p_count + CASE WHEN p_key_concurrency = 0 THEN 64 ELSE 500 END;
    d bigint[] := '{0,0,0,0,0,0,0}';
BEGIN
    SELECT * INTO q FROM reeve.queues WHERE name = p_queue;
    IF NOT FOUND OR q.paused OR p_count = 0 THEN
        RETURN QUERY SELECT 0::bigint, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea,
            0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, false, NULL::bytea;
        RETURN;
    END IF;

    -- with more places for a key those that are parked may run: they come back piece by piece
    IF q.key_concurrency <> p_key_concurrency THEN
        v_count := 0;
        IF q.key_concurrency <> 0 AND (p_key_concurrency = 0 OR p_key_concurrency > q.key_concurrency) THEN
            UPDATE reeve.jobs SET parked = false WHERE seq IN (
                SELECT p.seq FROM reeve.jobs p WHERE p.state = 1 AND p.parked AND p.queue = q.id
                LIMIT 2000 FOR UPDATE SKIP LOCKED);
            GET DIAGNOSTICS v_count = ROW_COUNT;
        END IF;
        IF v_count = 2000 THEN
            v_all := false;
        ELSE
            UPDATE reeve.queues SET key_concurrency = p_key_concurrency WHERE id = q.id;
        END IF;
    END IF;

    -- those whose time has come are ready
    WITH due AS MATERIALIZED (
        SELECT s.seq FROM reeve.jobs s WHERE s.state = 0 AND s.queue = q.id AND s.run_at <= p_now
        ORDER BY s.run_at, s.seq LIMIT greatest(64, 4 * p_count) FOR UPDATE SKIP LOCKED)
    UPDATE reeve.jobs t SET state = 1, parked = false FROM due WHERE t.seq = due.seq;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count >= greatest(64, 4 * p_count) THEN v_all := false; END IF;
    d[1] := -v_count;
    d[2] := v_count;

    held := false;
    IF p_running_max <> 0 THEN
        SELECT count(*) INTO v_count FROM reeve.jobs s
            WHERE s.state = 2 AND s.queue = q.id AND s.owner >= v_machine AND
                  s.owner < CASE WHEN v_machine = '' THEN '\xff'::bytea
                                 ELSE set_byte(v_machine, length(v_machine) - 1, ascii(';')) END;
        IF p_running_max - v_count < p_count THEN
            v_max := greatest(p_running_max - v_count, 0);
            IF v_max = 0 THEN v_window := 0; END IF;
            held := true;
        END IF;
    END IF;

    FOR r IN SELECT s.seq, s.key, s.body_size FROM reeve.jobs s WHERE s.state = 1 AND NOT s.parked AND s.queue = q.id
             ORDER BY s.priority DESC, s.run_at, s.seq
             LIMIT v_window
    LOOP
        EXIT WHEN v_given = v_max;
        IF v_given > 0 AND v_bytes + r.body_size > p_bytes_max THEN
            v_all := false;
            EXIT;
        END IF;
        v_seen := v_seen + 1;
        IF r.key IS NOT NULL AND p_key_concurrency <> 0 THEN
            IF NOT pg_try_advisory_xact_lock(1919247723, pg_temp.reeve_bucket(q.id, r.key)) THEN
                v_all := false;
                CONTINUE;
            END IF;
            SELECT count(*) INTO v_count FROM reeve.jobs s
                WHERE s.state = 2 AND s.key IS NOT NULL AND s.queue = q.id AND s.key = r.key;
            IF v_count >= p_key_concurrency THEN
                UPDATE reeve.jobs t SET parked = true WHERE t.seq = (
                    SELECT s.seq FROM reeve.jobs s WHERE s.seq = r.seq AND s.state = 1 AND NOT s.parked
                    FOR UPDATE SKIP LOCKED);
                v_parked := v_parked + 1;
                IF v_parked >= 500 THEN
                    v_all := false;
                    EXIT;
                END IF;
                CONTINUE;
            END IF;
        END IF;
        UPDATE reeve.jobs t SET state = 2, fence = nextval('reeve.fence'), owner = p_owner, batch = p_batch,
                started = p_now, attempts = t.attempts + 1
            WHERE t.seq = (SELECT s.seq FROM reeve.jobs s WHERE s.seq = r.seq AND s.state = 1 AND NOT s.parked
                           FOR UPDATE SKIP LOCKED)
            RETURNING t.* INTO j;
        CONTINUE WHEN NOT FOUND; -- another node has it
        v_given := v_given + 1;
        v_bytes := v_bytes + r.body_size;
        next := 0;
        id := j.id;
        key := j.key;
        callback := j.callback;
        fence := j.fence;
        attempt := j.attempts;
        attempts := j.attempts_max;
        crashes := j.crashes;
        created := j.created;
        run_at := j.run_at;
        SELECT p.content_type, p.trace, p.body, p.request INTO content_type, trace, body, request
            FROM reeve.payloads p WHERE p.seq = j.seq;
        RETURN NEXT;
    END LOOP;
    IF v_given < v_max AND v_seen >= v_window THEN v_all := false; END IF;
    d[2] := d[2] - v_given;
    d[3] := v_given;
    PERFORM pg_temp.reeve_count(q.id, p_part, d);
    IF v_given > 0 AND p_lease > 0 THEN
        IF NOT EXISTS (SELECT FROM reeve.owners o WHERE o.owner = p_owner
                       AND o.lease > pg_temp.reeve_clock(p_clock) + p_lease / 2) THEN
            PERFORM pg_temp.reeve_extend(p_clock, p_owner, p_lease);
        END IF;
    END IF;

    id := NULL;
    body := NULL;
    request := NULL;
    next := p_now;
    IF v_all THEN
        SELECT s.run_at INTO next FROM reeve.jobs s WHERE s.state = 0 AND s.queue = q.id
            ORDER BY s.run_at LIMIT 1;
        next := coalesce(next, 0);
    END IF;
    RETURN NEXT;
END $f$;
)";
}

}  // namespace worker::jobs
