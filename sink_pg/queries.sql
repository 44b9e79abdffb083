-- The statements of pg_writer, each under its name.

-- begin_migration --
-- One sink at a time; released at the end of the transaction, also behind a pooler.
SELECT pg_advisory_xact_lock(hashtextextended('bemi_migrations', 0));

-- find_tables --
-- From the catalogue and not by to_regclass(): that looks into a cache, which does not see
-- what another sink made while this transaction waited for the lock.
SELECT
    count(*) FILTER (WHERE relname = 'bemi_migrations') > 0,
    count(*) FILTER (WHERE relname = 'changes') > 0
FROM pg_catalog.pg_class
WHERE relnamespace = 'public'::regnamespace AND relname IN ('bemi_migrations', 'changes');

-- create_migrations --
CREATE TABLE public.bemi_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- applied_migrations --
SELECT version FROM public.bemi_migrations;

-- record_migration --
INSERT INTO public.bemi_migrations (version, name) VALUES (%(version)s, %(name)s);

-- begin_store --
-- What another sink committed must be seen at once, whatever the server's default is. A lock
-- or a statement that never ends must not hold the records of a partition for ever.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '60s';
SET LOCAL statement_timeout = '240s';

-- watermarks --
SELECT partition, next_offset, epoch, commit_lsn, ordinal
FROM public.bemi_sink_progress
WHERE topic = %(topic)s AND partition = ANY(%(partitions)s);

-- advance_watermarks --
UPDATE public.bemi_sink_progress AS progress
SET next_offset = advance.next_offset,
    epoch = advance.epoch,
    commit_lsn = advance.commit_lsn,
    ordinal = advance.ordinal,
    updated_at = now()
FROM unnest(
    %(partitions)s::integer[], %(expected)s::bigint[], %(next_offsets)s::bigint[],
    %(epochs)s::text[], %(commit_lsns)s::bigint[], %(ordinals)s::bigint[]
) AS advance (partition, expected, next_offset, epoch, commit_lsn, ordinal)
WHERE progress.topic = %(topic)s
    AND progress.partition = advance.partition
    AND progress.next_offset = advance.expected
RETURNING progress.partition;

-- insert_watermarks --
INSERT INTO public.bemi_sink_progress
    (topic, partition, next_offset, epoch, commit_lsn, ordinal)
SELECT %(topic)s::text, advance.*
FROM unnest(
    %(partitions)s::integer[], %(next_offsets)s::bigint[], %(epochs)s::text[],
    %(commit_lsns)s::bigint[], %(ordinals)s::bigint[]
) AS advance
ON CONFLICT DO NOTHING
RETURNING partition;

-- insert_dead_letter --
INSERT INTO public.bemi_dead_letters (topic, partition, "offset", key, value, headers, reason)
VALUES (
    %(topic)s, %(partition)s, %(offset)s, %(key)b, %(value)b, %(headers)s, %(reason)s
)
ON CONFLICT DO NOTHING;

-- create_staging --
CREATE TEMPORARY TABLE bemi_staging (LIKE public.changes INCLUDING DEFAULTS) ON COMMIT DROP;

-- clear_staging --
TRUNCATE pg_temp.bemi_staging;
