-- The tables of a publication with what is needed to read their rows: columns as the stream
-- describes them, and the heaps the rows are in (a published root's are its partitions').
SELECT
    c.oid::bigint AS table_oid,
    n.nspname::text AS pg_schema,
    c.relname::text AS table_name,
    c.relreplident::text AS replica_identity,
    {row_filter} AS row_filter,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            a.attname, a.atttypid::bigint, a.atttypmod, coalesce(a.attnum = ANY (i.indkey), false)
        ) ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute AS a
        LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND CASE c.relreplident
            WHEN 'd' THEN i.indisprimary
            WHEN 'i' THEN i.indisreplident
            ELSE false
        END
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND {is_published}
    ) AS columns,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            h.oid::bigint, hn.nspname, h.relname, pg_catalog.pg_relation_filenode(h.oid)::bigint,
            pg_catalog.pg_relation_size(h.oid) / current_setting('block_size')::integer,
            h.reltuples
        ) ORDER BY hn.nspname, h.relname), '[]')
        FROM pg_catalog.pg_class AS h
        JOIN pg_catalog.pg_namespace AS hn ON hn.oid = h.relnamespace
        WHERE h.relkind = 'r' AND h.oid IN (
            SELECT c.oid
            UNION
            SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf AND c.relkind = 'p'
        )
    ) AS heaps
FROM pg_catalog.pg_publication_tables AS p
JOIN pg_catalog.pg_namespace AS n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE p.pubname = %(publication)s
ORDER BY n.nspname, c.relname
