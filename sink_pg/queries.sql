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
-- or a statement that never ends must not hold the records of a partition for ever; a sink
-- that still stores when its partitions are another's already does so within the first.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '240s';

-- begin_durable_store --
-- The same where the source forgets what is stored: it must be on the disk then.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '240s';
SELECT set_config('synchronous_commit', 'on', true)
WHERE current_setting('synchronous_commit') = 'off';

-- watermarks --
SELECT partition, next_offset, epoch, commit_lsn, ordinal, topic_id
FROM public.bemi_sink_progress
WHERE topic = %(topic)s AND partition = ANY(%(partitions)s);

-- advance_watermarks --
UPDATE public.bemi_sink_progress AS progress
SET next_offset = advance.next_offset,
    epoch = advance.epoch,
    commit_lsn = advance.commit_lsn,
    ordinal = advance.ordinal,
    topic_id = %(topic_id)s,
    updated_at = now()
FROM unnest(
    %(partitions)s::integer[], %(expected)s::bigint[], %(next_offsets)s::bigint[],
    %(epochs)s::text[], %(commit_lsns)s::bigint[], %(ordinals)s::bigint[]
) AS advance (partition, expected, next_offset, epoch, commit_lsn, ordinal)
WHERE progress.topic = %(topic)s
    AND progress.partition = advance.partition
    AND progress.next_offset = advance.expected
    AND coalesce(progress.topic_id, %(topic_id)s) IS NOT DISTINCT FROM %(topic_id)s
RETURNING progress.partition;

-- begin_anew --
-- Epoch, commit LSN and ordinal stay: they are of the changes that are stored.
UPDATE public.bemi_sink_progress
SET next_offset = 0, topic_id = %(topic_id)s, updated_at = now()
WHERE topic = %(topic)s AND partition = %(partition)s
    AND next_offset = %(next_offset)s AND topic_id = %(former_id)s
RETURNING partition;

-- insert_watermarks --
INSERT INTO public.bemi_sink_progress
    (topic, partition, next_offset, epoch, commit_lsn, ordinal, topic_id)
SELECT %(topic)s::text, advance.*, %(topic_id)s
FROM unnest(
    %(partitions)s::integer[], %(next_offsets)s::bigint[], %(epochs)s::text[],
    %(commit_lsns)s::bigint[], %(ordinals)s::bigint[]
) AS advance
ON CONFLICT DO NOTHING
RETURNING partition;

-- insert_dead_letter --
INSERT INTO public.bemi_dead_letters
    (topic, topic_id, partition, "offset", key, value, headers, reason)
VALUES (
    %(topic)s, %(topic_id)s, %(partition)s, %(offset)s, %(key)b, %(value)b, %(headers)s, %(reason)s
)
ON CONFLICT DO NOTHING;

-- create_staging --
CREATE TEMPORARY TABLE bemi_staging (LIKE public.changes INCLUDING DEFAULTS) ON COMMIT DROP;

-- clear_staging --
TRUNCATE pg_temp.bemi_staging;

-- read_json --
SELECT %(document)s::jsonb IS NULL;

-- plain_times --
SET LOCAL datestyle = 'ISO';
SET LOCAL timezone = 'UTC';

-- list_partitions --
-- Bounds in microseconds since 1970, NULL where there is none: the text of a time depends on
-- the server's settings, and PostgreSQL's times reach further than Python's.
SELECT
    namespace.nspname,
    child.relname,
    bound.expression = 'DEFAULT',
    CASE WHEN isfinite(bound.lower) THEN (extract(epoch FROM bound.lower) * 1000000)::bigint END,
    CASE WHEN isfinite(bound.upper) THEN (extract(epoch FROM bound.upper) * 1000000)::bigint END,
    greatest(child.reltuples, 0)::bigint,
    pg_total_relation_size(child.oid)
FROM pg_catalog.pg_inherits AS link
JOIN pg_catalog.pg_class AS child ON child.oid = link.inhrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
CROSS JOIN LATERAL (
    SELECT
        pg_get_expr(child.relpartbound, child.oid) AS expression,
        (regexp_match(pg_get_expr(child.relpartbound, child.oid),
            $$FROM \('([^']+)'\)$$))[1]::timestamptz AS lower,
        (regexp_match(pg_get_expr(child.relpartbound, child.oid),
            $$TO \('([^']+)'\)$$))[1]::timestamptz AS upper
) AS bound
WHERE link.inhparent = 'public.changes'::regclass AND NOT link.inhdetachpending
ORDER BY bound.expression = 'DEFAULT', bound.lower NULLS FIRST, child.relname;

-- begin_maintenance --
-- One sink at a time. The lock timeout is short because whoever waits for a lock makes all who
-- come after wait as well; what was not done is tried again at the next round.
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock(hashtextextended('bemi_partitions', 0));

-- create_partition --
-- Made apart and then attached: that does not stop who reads and writes the other partitions.
CREATE TABLE {partition} (
    LIKE public.changes
    INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE
);

-- lock_partition --
LOCK TABLE ONLY {partition} IN ACCESS EXCLUSIVE MODE;

-- rows_in_range --
-- Counted no further than to the limit.
SELECT count(*) FROM (
    SELECT FROM {partition} WHERE committed_at >= {lower} AND committed_at < {upper} LIMIT {limit}
) AS found;

-- changes_columns --
SELECT attname FROM pg_catalog.pg_attribute
WHERE attrelid = 'public.changes'::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;

-- move_rows --
WITH moved AS (
    DELETE FROM {source} WHERE committed_at >= {lower} AND committed_at < {upper}
    RETURNING {columns}
)
INSERT INTO {target} ({columns}) SELECT {columns} FROM moved;

-- attach_partition --
ALTER TABLE public.changes ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper});

-- times_in_default --
-- A time in each day that has rows; the index on committed_at answers by one step a day.
WITH RECURSIVE day AS (
    SELECT date_trunc('day', min(committed_at) AT TIME ZONE 'UTC') AS start FROM {partition}
    WHERE isfinite(committed_at)
    UNION ALL
    SELECT (
        SELECT date_trunc('day', min(committed_at) AT TIME ZONE 'UTC') FROM {partition}
        WHERE committed_at >= (day.start + interval '1 day') AT TIME ZONE 'UTC'
            AND isfinite(committed_at)
    )
    FROM day WHERE day.start IS NOT NULL
)
SELECT (extract(epoch FROM start) * 1000000)::bigint FROM day
WHERE start BETWEEN '0002-01-01' AND '9998-01-01';

-- drop_partition --
-- Detached before: that alone decides, by its bounds, what leaves `changes`.
ALTER TABLE public.changes DETACH PARTITION {partition};
DROP TABLE {partition};

-- count_older --
SELECT count(*) FROM {partition} WHERE committed_at < {cutoff};

-- delete_older --
DELETE FROM {partition} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {partition} WHERE committed_at < {cutoff} LIMIT {limit}
));

-- list_dead_letters --
SELECT id, topic, partition, "offset", octet_length(value), created_at, retries, reason
FROM public.bemi_dead_letters ORDER BY id LIMIT %(limit)s;

-- count_dead_letters --
SELECT count(*) FROM public.bemi_dead_letters;

-- waiting_dead_letters --
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
FROM public.bemi_dead_letters;

-- dead_letter_ids --
SELECT id FROM public.bemi_dead_letters
WHERE %(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[]) ORDER BY id;

-- take_dead_letter --
-- Left alone where another takes it at this moment.
SELECT topic, partition, "offset", key, value FROM public.bemi_dead_letters
WHERE id = %(id)s FOR UPDATE SKIP LOCKED;

-- keep_dead_letter --
UPDATE public.bemi_dead_letters
SET reason = %(reason)s, retries = retries + 1, retried_at = now() WHERE id = %(id)s;

-- drop_dead_letters --
DELETE FROM public.bemi_dead_letters WHERE id = ANY(%(ids)s);

-- foreign_table --
-- What stands where `changes` belongs: its kind, whether rows are hidden from some roles, and
-- the views that read it.
SELECT relkind::text, relrowsecurity, ARRAY(
    SELECT DISTINCT rewrite.ev_class::regclass::text
    FROM pg_catalog.pg_depend AS dependency
    JOIN pg_catalog.pg_rewrite AS rewrite ON rewrite.oid = dependency.objid
    WHERE dependency.classid = 'pg_rewrite'::regclass
        AND dependency.refobjid = class.oid AND rewrite.ev_class <> class.oid
    ORDER BY 1
)
FROM pg_catalog.pg_class AS class
WHERE relnamespace = 'public'::regnamespace AND relname = 'changes';

-- table_columns --
SELECT
    attname,
    format_type(atttypid, atttypmod),
    attnotnull,
    pg_get_expr(adbin, adrelid)
FROM pg_catalog.pg_attribute
LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;

-- index_is_valid --
SELECT indisvalid FROM pg_catalog.pg_index
JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'public'::regnamespace AND relname = %(name)s;

-- drop_index_concurrently --
DROP INDEX CONCURRENTLY public.{name};

-- index_adopted_key --
CREATE UNIQUE INDEX CONCURRENTLY {name} ON public.changes (id, committed_at);

-- index_adopted_primary_key --
CREATE INDEX CONCURRENTLY {name} ON public.changes USING spgist (primary_key);

-- begin_adoption --
-- Everybody who reads or writes the table waits from here to the end; nothing is decided by
-- what was read before. PostgreSQL reads the table once, to see that its rows fit the bounds.
SET LOCAL lock_timeout = '60s';
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock(hashtextextended('bemi_migrations', 0));
LOCK TABLE public.changes IN ACCESS EXCLUSIVE MODE;

-- adopted_until --
-- The bound excludes itself.
SELECT coalesce(max(committed_at) + interval '1 microsecond', now())::text
FROM public.changes WHERE isfinite(committed_at);

-- narrow_indexes --
-- Constraints and indexes that refuse changes which are possible: a key of its own beside that
-- of `changes`, the rows of one statement (they share a position), keys of any length.
SELECT conname, true FROM pg_catalog.pg_constraint
WHERE conrelid = 'public.changes'::regclass AND contype IN ('p', 'u')
UNION ALL
SELECT indexrelid::regclass::text, false
FROM pg_catalog.pg_index
JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
JOIN pg_catalog.pg_am ON pg_am.oid = relam
JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = 'public.changes'::regclass AND amname = 'btree' AND attname = 'primary_key'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = indexrelid);

-- drop_constraint --
ALTER TABLE public.changes DROP CONSTRAINT {name};

-- drop_index --
DROP INDEX public.{name};

-- table_grants --
SELECT grantee::regrole::text, privilege_type, is_grantable
FROM pg_catalog.pg_class, aclexplode(relacl)
WHERE pg_class.oid = 'public.changes'::regclass AND grantee <> relowner AND grantee <> 0
UNION ALL
SELECT 'PUBLIC', privilege_type, is_grantable
FROM pg_catalog.pg_class, aclexplode(relacl)
WHERE pg_class.oid = 'public.changes'::regclass AND grantee = 0;

-- rename_adopted --
ALTER TABLE public.changes RENAME TO {name};

-- attach_adopted --
ALTER TABLE public.changes ATTACH PARTITION {partition} FOR VALUES FROM (MINVALUE) TO ({upper});

-- lock_indexes --
-- False where another sink is at it. Held by a transaction, so it also holds behind a pooler.
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_try_advisory_xact_lock(hashtextextended('bemi_indexes', 0));

-- gin_indexes --
-- Those on one column by jsonb_path_ops, whoever made them.
SELECT attname, pg_class.relname, indisvalid
FROM pg_catalog.pg_index
JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
JOIN pg_catalog.pg_opclass ON pg_opclass.oid = indclass[0]
JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = format('%%I.%%I', %(pg_schema)s::text, %(name)s::text)::regclass
    AND opcname = 'jsonb_path_ops' AND indnatts = 1 AND indpred IS NULL;

-- drop_gin_index --
DROP INDEX CONCURRENTLY {index};

-- create_gin_index --
CREATE INDEX CONCURRENTLY ON {partition} USING gin ({column} jsonb_path_ops);
