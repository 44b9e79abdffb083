-- The statements of verify, each under its name.

-- create_expected --
CREATE TEMPORARY TABLE bemi_expected (
    number integer NOT NULL,
    system_identifier text NOT NULL,
    database text NOT NULL,
    -- NULL where it is not known, and the transaction's id tells.
    commit_lsn bigint,
    transaction_id bigint,
    committed_at timestamptz NOT NULL,
    schema text NOT NULL,
    "table" text NOT NULL,
    changes bigint NOT NULL,
    ordinals numeric
) ON COMMIT DROP;

-- copy_expected --
COPY pg_temp.bemi_expected FROM STDIN;

-- analyze_expected --
ANALYZE pg_temp.bemi_expected;

-- compare_expected --
-- Found by the commit time, of which there is an index, and among those by the commit LSN. The
-- epoch may be another one than the source says now: a new slot sends the same transaction.
WITH transactions AS (
    SELECT DISTINCT number, system_identifier, database, commit_lsn, transaction_id, committed_at
    FROM pg_temp.bemi_expected
),
found AS (
    SELECT
        transactions.number, stored.schema, stored."table",
        count(*) AS changes, sum(stored.ordinal) AS ordinals
    FROM transactions
    JOIN public.changes AS stored
        ON stored.committed_at = transactions.committed_at
        AND (transactions.commit_lsn IS NULL OR stored.commit_lsn = transactions.commit_lsn)
        AND (
            transactions.transaction_id IS NULL
            OR stored.transaction_id = transactions.transaction_id
        )
        AND stored.database = transactions.database
        AND split_part(stored.epoch, '.', 1) = transactions.system_identifier
    WHERE stored.committed_at BETWEEN %(oldest)s AND %(newest)s
    GROUP BY 1, 2, 3
)
SELECT
    number, schema, "table",
    coalesce(expected.changes, 0), coalesce(found.changes, 0),
    expected.ordinals - coalesce(found.ordinals, 0)
FROM pg_temp.bemi_expected AS expected
FULL JOIN found USING (number, schema, "table")
WHERE (expected.changes, coalesce(expected.ordinals, found.ordinals))
    IS DISTINCT FROM (found.changes, found.ordinals)
ORDER BY number, schema, "table";

-- progress_of_topic --
SELECT partition, next_offset, epoch, commit_lsn
FROM public.bemi_sink_progress
WHERE topic = %(topic)s;

-- dead_letters_of_topic --
SELECT value
FROM public.bemi_dead_letters
WHERE topic = %(topic)s AND value IS NOT NULL;
