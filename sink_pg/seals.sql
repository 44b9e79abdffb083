-- The statements of seals, each under its name. What is hashed is PostgreSQL's binary form of a
-- row (record_send), which no setting of the session changes but client_encoding, and that is
-- UTF8: jsonb as its normal text, times as microseconds, each value with its type and length.

-- row_hash_1 --
sha256(record_send(ROW(
    stored.id, stored.database, stored.schema, stored."table", stored.primary_key,
    stored.operation, stored.before, stored.after, stored.context, stored.committed_at,
    stored.queued_at, stored.created_at, stored.transaction_id, stored.position,
    stored.commit_lsn, stored.ordinal, stored.epoch, stored.context_error,
    stored.characters_replaced, stored.stored_as_text
)))

-- seal_hash --
sha256(record_send(ROW(
    seal.number, seal.form, seal.sealed_at, seal.row_count, seal.rows_hash, seal.oldest,
    seal.newest, seal.places, seal.removed_before, seal.previous_hash
)))

-- hash_stored --
-- What this transaction has stored: now() is its own, and stands in created_at. Times go out and
-- in again as the session's text, whatever its DateStyle is.
SELECT
    count(*), min(committed_at)::text, max(committed_at)::text,
    sha256(coalesce(string_agg({row_hash}, ''::bytea ORDER BY id, committed_at), ''::bytea))
FROM public.changes AS stored
WHERE created_at = now()
    AND committed_at >= (SELECT min(t) FROM unnest(%(times)s::timestamptz[]) AS t)
    AND committed_at <= (SELECT max(t) FROM unnest(%(times)s::timestamptz[]) AS t);

-- lock_seals --
-- One at a time, and only for the moment between here and COMMIT.
SELECT pg_advisory_xact_lock(hashtextextended('bemi_seals', 0));

-- insert_seal --
WITH last AS (
    SELECT number, hash FROM public.bemi_seals ORDER BY number DESC LIMIT 1
),
seal AS (
    SELECT
        coalesce((SELECT number FROM last), 0) + 1 AS number,
        1::smallint AS form,
        now() AS sealed_at,
        %(row_count)s::bigint AS row_count,
        %(rows_hash)s::bytea AS rows_hash,
        %(oldest)s::timestamptz AS oldest,
        %(newest)s::timestamptz AS newest,
        %(places)s::jsonb AS places,
        %(removed_before)s::timestamptz AS removed_before,
        coalesce((SELECT hash FROM last), ''::bytea) AS previous_hash
)
INSERT INTO public.bemi_seals (
    number, form, sealed_at, row_count, rows_hash, oldest, newest, places, removed_before,
    previous_hash, hash
)
SELECT seal.*, {seal_hash} FROM seal;

-- has_seals --
SELECT EXISTS (SELECT FROM public.bemi_seals);

-- seals_after --
SELECT
    number, row_count, rows_hash, oldest::text, newest::text, previous_hash, hash,
    hash = {seal_hash}
FROM public.bemi_seals AS seal
WHERE number > %(number)s
ORDER BY number
LIMIT %(limit)s;

-- rows_of_seals --
SELECT
    seal.number, count(stored.id),
    sha256(coalesce(
        string_agg({row_hash}, ''::bytea ORDER BY stored.id, stored.committed_at), ''::bytea
    ))
FROM public.bemi_seals AS seal
JOIN public.changes AS stored
    ON stored.created_at = seal.sealed_at
    AND stored.committed_at BETWEEN seal.oldest AND seal.newest
WHERE seal.number BETWEEN %(first)s AND %(last)s
    -- Known before the rows are looked for, so that other partitions are left alone.
    AND stored.committed_at >= (
        SELECT min(oldest) FROM public.bemi_seals WHERE number BETWEEN %(first)s AND %(last)s
    )
    AND stored.committed_at <= (
        SELECT max(newest) FROM public.bemi_seals WHERE number BETWEEN %(first)s AND %(last)s
    )
GROUP BY seal.number;

-- removed_by_retention --
SELECT number FROM public.bemi_seals
WHERE number = ANY(%(numbers)s)
    AND oldest < (SELECT max(removed_before) FROM public.bemi_seals);

-- unsealed_rows --
-- Rows that say they were stored after sealing had begun, by a transaction that left no seal.
SELECT count(*), min(stored.created_at)::text, min(stored.id::text)
FROM public.changes AS stored
WHERE stored.created_at >= (SELECT min(sealed_at) FROM public.bemi_seals)
    AND NOT EXISTS (
        SELECT FROM public.bemi_seals AS seal WHERE seal.sealed_at = stored.created_at
    );

-- count_seals --
SELECT count(*) FROM public.bemi_seals;
