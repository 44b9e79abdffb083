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
-- In the place of a row that was erased since stands the hash it had, which its erasure's own
-- seal vouches for; the row as it is now is looked at by changed_since_erased.
SELECT
    seal.number, count(stored.id),
    sha256(coalesce(
        string_agg(
            coalesce(erased.sealed_hash, {row_hash}), ''::bytea
            ORDER BY stored.id, stored.committed_at
        ),
        ''::bytea
    ))
FROM public.bemi_seals AS seal
JOIN public.changes AS stored
    ON stored.created_at = seal.sealed_at
    AND stored.committed_at BETWEEN seal.oldest AND seal.newest
LEFT JOIN LATERAL (
    SELECT entry.sealed_hash FROM public.bemi_erased_changes AS entry
    WHERE entry.id = stored.id AND entry.committed_at = stored.committed_at
        AND entry.stored_at = stored.created_at AND entry.sealed_hash IS NOT NULL
    ORDER BY entry.number
    LIMIT 1
) AS erased ON true
WHERE seal.number BETWEEN %(first)s AND %(last)s
    -- Known before the rows are looked for, so that other partitions are left alone.
    AND stored.committed_at >= (
        SELECT min(oldest) FROM public.bemi_seals WHERE number BETWEEN %(first)s AND %(last)s
    )
    AND stored.committed_at <= (
        SELECT max(newest) FROM public.bemi_seals WHERE number BETWEEN %(first)s AND %(last)s
    )
GROUP BY seal.number;

-- entries_of_seals --
SELECT
    seal.number, count(*),
    sha256(coalesce(string_agg({entry_hash}, ''::bytea ORDER BY erased.number), ''::bytea))
FROM public.bemi_seals AS seal
JOIN public.bemi_erased_changes AS erased ON erased.sealed_at = seal.sealed_at
JOIN public.bemi_erasures AS erasure ON erasure.id = erased.erasure
WHERE seal.number BETWEEN %(first)s AND %(last)s AND seal.oldest IS NULL AND seal.row_count > 0
GROUP BY seal.number;

-- changed_since_erased --
-- Rows that are not what their last erasure has left; one that is gone, its seal shows.
SELECT count(*), min(stored.id::text)
FROM public.bemi_erased_changes AS erased
JOIN public.changes AS stored
    ON stored.id = erased.id AND stored.committed_at = erased.committed_at
    AND stored.created_at = erased.stored_at
WHERE erased.erased_hash <> {row_hash}
    AND NOT EXISTS (
        SELECT FROM public.bemi_erased_changes AS later
        WHERE later.id = erased.id AND later.committed_at = erased.committed_at
            AND later.number > erased.number AND later.erased_hash IS NOT NULL
    );

-- count_erased --
SELECT count(DISTINCT (id, committed_at)), count(DISTINCT erasure)
FROM public.bemi_erased_changes WHERE sealed_hash IS NOT NULL;

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
