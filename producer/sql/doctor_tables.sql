-- Every table that an application may write to, and what the publication makes of it. A partition
-- is covered by itself or by a table that it is a partition of, at any depth.
WITH published AS MATERIALIZED (
    SELECT t.schemaname, t.tablename FROM pg_catalog.pg_publication_tables AS t
    WHERE t.pubname = %(name)s
),
listed AS MATERIALIZED (
    -- Filters and column lists are of PostgreSQL 15.
    SELECT
        r.prrelid,
        bool_or(to_jsonb(r) ->> 'prqual' IS NOT NULL) AS has_filter,
        bool_or(to_jsonb(r) ->> 'prattrs' IS NOT NULL) AS has_columns
    FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
    WHERE p.pubname = %(name)s
    GROUP BY r.prrelid
)
SELECT
    n.nspname::text,
    c.relname::text,
    format('%%I.%%I', n.nspname, c.relname),
    c.relkind::text,
    c.relpersistence::text,
    c.relreplident::text,
    CASE c.relreplident
        WHEN 'f' THEN true
        WHEN 'n' THEN false
        ELSE EXISTS (
            SELECT FROM pg_catalog.pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisvalid
                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END
        )
    END,
    EXISTS (
        SELECT FROM published AS t
        WHERE (t.schemaname, t.tablename) = (n.nspname, c.relname)
    ) OR (c.relispartition AND EXISTS (
        SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) AS a (oid)
        JOIN pg_catalog.pg_class AS ac ON ac.oid = a.oid
        JOIN pg_catalog.pg_namespace AS an ON an.oid = ac.relnamespace
        JOIN published AS t ON (t.schemaname, t.tablename) = (an.nspname, ac.relname)
    )),
    coalesce(l.has_columns, false),
    coalesce(l.has_filter, false),
    pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN listed AS l ON l.prrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'f')
    AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
ORDER BY 1, 2
