-- The statements of replay_writer, each under its name.

-- insert_replayed --
-- Into any table that is made like `changes`; what retention would remove again is left out.
INSERT INTO {table} ({columns})
SELECT {columns}
FROM pg_temp.bemi_staging
WHERE committed_at >= coalesce(%(keep_from)s, '-infinity'::timestamptz)
ON CONFLICT (id, committed_at) DO NOTHING;

-- replace_replayed --
-- What says which change it is stays; only what stitching decides may have become better.
UPDATE {table} AS stored
SET before = replayed.before,
    after = replayed.after,
    context = replayed.context,
    context_error = replayed.context_error,
    characters_replaced = replayed.characters_replaced,
    stored_as_text = replayed.stored_as_text
FROM pg_temp.bemi_staging AS replayed
WHERE stored.id = replayed.id
    AND stored.committed_at = replayed.committed_at
    AND (stored.before, stored.after, stored.context, stored.context_error)
        IS DISTINCT FROM
        (replayed.before, replayed.after, replayed.context, replayed.context_error);

-- create_replay_target --
CREATE TABLE IF NOT EXISTS {table} (LIKE public.changes INCLUDING ALL);

-- replay_target --
-- Its columns, and whether a change can be told by its key.
SELECT
    to_regclass(%(table)s) IS NOT NULL,
    ARRAY(
        SELECT attname::text FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
    ),
    EXISTS (
        SELECT FROM pg_catalog.pg_index
        WHERE indrelid = to_regclass(%(table)s) AND indisunique AND indpred IS NULL
            AND (
                SELECT array_agg(attname::text ORDER BY attname)
                FROM pg_catalog.pg_attribute
                WHERE attrelid = indrelid AND attnum = ANY(indkey)
            ) = ARRAY['committed_at', 'id']
    );
