-- Every column of every table that an application may write to, a domain's with its base type.
WITH RECURSIVE base (oid, base_oid) AS (
    SELECT t.oid, t.oid FROM pg_catalog.pg_type AS t
    UNION ALL
    SELECT b.oid, t.typbasetype
    FROM base AS b
    JOIN pg_catalog.pg_type AS t ON t.oid = b.base_oid
    WHERE t.typtype = 'd'
)
SELECT
    n.nspname::text,
    c.relname::text,
    a.attname::text,
    t.oid::bigint,
    t.typtype::text,
    EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)
    )
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base AS b ON b.oid = a.atttypid
JOIN pg_catalog.pg_type AS t ON t.oid = b.base_oid AND t.typtype <> 'd'
WHERE c.relkind IN ('r', 'p')
    AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
ORDER BY 1, 2, a.attnum
