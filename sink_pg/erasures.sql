-- The statements of erasures, each under its name.

-- erased_until --
-- The day behind that of the newest change that is erased: a batch of younger ones has none of
-- them, by whatever clock a row's day is written.
SELECT to_char(max(committed_at) AT TIME ZONE 'UTC' + interval '1 day', 'YYYY-MM-DD')
FROM public.bemi_erased_changes;

-- any_is_erased --
SELECT EXISTS (
    SELECT FROM public.bemi_erased_changes AS erased WHERE erased.id = ANY(%(ids)s::uuid[])
);

-- insert_erasure --
INSERT INTO public.bemi_erasures (id, erased_at, erased_by, reason, parts, members)
VALUES (%(id)s, %(erased_at)s, %(erased_by)s, %(reason)s, %(parts)s, %(members)s)
ON CONFLICT DO NOTHING;

-- insert_erased_changes --
-- As a record of the topic names them; no row of `changes` is touched.
INSERT INTO public.bemi_erased_changes (id, committed_at, erasure)
SELECT named.id, named.committed_at, %(erasure)s::uuid
FROM unnest(%(ids)s::uuid[], %(committed_at)s::timestamptz[]) AS named (id, committed_at)
ON CONFLICT DO NOTHING;

-- advance_erasures --
INSERT INTO public.bemi_sink_progress (topic, partition, next_offset, commit_lsn, ordinal)
VALUES (%(topic)s, 0, %(next_offset)s, 0, 0)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset, updated_at = now();

-- erasures_of_staged --
SELECT erasures.id::text, erasures.parts, erasures.members
FROM public.bemi_erasures AS erasures
WHERE erasures.id IN (
    SELECT erased.erasure
    FROM pg_temp.bemi_staging AS staged
    JOIN public.bemi_erased_changes AS erased USING (id, committed_at)
);

-- erase_staged --
UPDATE pg_temp.bemi_staging AS stored
SET primary_key = {primary_key}, before = {before}, after = {after}, context = {context}
FROM public.bemi_erased_changes AS erased
WHERE erased.id = stored.id
    AND erased.committed_at = stored.committed_at
    AND erased.erasure = %(erasure)s;

-- erased_members --
-- An object with what stands for each of its members, or each of the named ones.
(
    SELECT coalesce(
        jsonb_object_agg(
            member.key,
            CASE
                WHEN %(members)s::text[] IS NULL OR member.key = ANY(%(members)s::text[])
                THEN to_jsonb({marker}::text)
                ELSE member.value
            END
        ),
        '{{}}'::jsonb
    )
    FROM jsonb_each(stored.{column}) AS member
)

-- begin_erasing --
-- One erasure at a time, so that those of one change have an order.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '60s';
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock(hashtextextended('bemi_erasures', 0));

-- create_chosen --
CREATE TEMPORARY TABLE IF NOT EXISTS bemi_chosen (
    place bigint GENERATED ALWAYS AS IDENTITY,
    id uuid NOT NULL,
    committed_at timestamptz NOT NULL,
    schema text NOT NULL,
    "table" text NOT NULL
);

-- choose --
INSERT INTO pg_temp.bemi_chosen (id, committed_at, schema, "table")
SELECT stored.id, stored.committed_at, stored.schema, stored."table"
FROM public.changes AS stored
WHERE {conditions} AND {differs}
ORDER BY stored.committed_at;

-- choose_recorded --
-- What is on record and was stored again since, by a restore of the database.
INSERT INTO pg_temp.bemi_chosen (id, committed_at, schema, "table")
SELECT stored.id, stored.committed_at, stored.schema, stored."table"
FROM public.bemi_erased_changes AS erased
JOIN public.changes AS stored USING (id, committed_at)
WHERE erased.erasure = %(erasure)s AND {differs}
ORDER BY stored.committed_at;

-- is_not_erased_yet --
(stored.primary_key, stored.before, stored.after, stored.context)
IS DISTINCT FROM ({primary_key}, {before}, {after}, {context})

-- chosen_tables --
SELECT schema, "table", count(*), min(committed_at)::text, max(committed_at)::text
FROM pg_temp.bemi_chosen GROUP BY schema, "table" ORDER BY schema, "table";

-- clear_chosen --
TRUNCATE pg_temp.bemi_chosen RESTART IDENTITY;

-- erase_chosen --
-- Those whose erasure is on record already keep the hash that their seal has.
WITH target AS (
    SELECT stored.id, stored.committed_at, stored.created_at, {row_hash} AS sealed_hash
    FROM public.changes AS stored
    JOIN pg_temp.bemi_chosen AS chosen USING (id, committed_at)
    WHERE chosen.place > %(first)s AND chosen.place <= %(last)s AND {differs}
    FOR UPDATE OF stored
),
written AS (
    UPDATE public.changes AS stored
    SET primary_key = {primary_key}, before = {before}, after = {after}, context = {context}
    FROM target
    WHERE stored.id = target.id AND stored.committed_at = target.committed_at
    RETURNING
        stored.id, stored.committed_at, target.created_at, target.sealed_hash,
        {row_hash} AS erased_hash
),
noted AS (
    INSERT INTO public.bemi_erased_changes AS erased
        (id, committed_at, erasure, stored_at, sealed_hash, erased_hash, sealed_at)
    SELECT
        id, committed_at, %(erasure)s, created_at,
        CASE WHEN %(is_sealing)s THEN sealed_hash END,
        CASE WHEN %(is_sealing)s THEN erased_hash END,
        now()
    FROM written
    ON CONFLICT (id, committed_at, erasure) DO UPDATE
    SET stored_at = excluded.stored_at,
        sealed_hash = excluded.sealed_hash,
        erased_hash = excluded.erased_hash,
        sealed_at = excluded.sealed_at
    WHERE erased.sealed_at IS NULL
)
SELECT
    id::text,
    to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM written;

-- hash_erased --
-- What this transaction has erased: now() is its own.
SELECT count(*), sha256(coalesce(string_agg({entry_hash}, ''::bytea ORDER BY number), ''::bytea))
FROM public.bemi_erased_changes AS erased
JOIN public.bemi_erasures AS erasure ON erasure.id = erased.erasure
WHERE erased.sealed_at = now();

-- list_erasures --
SELECT
    erasures.id::text,
    to_char(erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    erased_by, reason, parts, members, count(erased.id)
FROM public.bemi_erasures AS erasures
LEFT JOIN public.bemi_erased_changes AS erased ON erased.erasure = erasures.id
GROUP BY erasures.id
ORDER BY erasures.erased_at;

-- analyze_chosen --
ANALYZE pg_temp.bemi_chosen;

-- recorded_erasures --
SELECT
    id::text, erased_at::text, erased_by, reason, parts, members
FROM public.bemi_erasures ORDER BY erased_at, id;

-- entry_hash --
sha256(record_send(ROW(
    erased.id, erased.committed_at, erased.stored_at, erased.sealed_hash, erased.erased_hash,
    erasure.id, erasure.erased_at, erasure.erased_by, erasure.reason, erasure.parts,
    erasure.members
)))
