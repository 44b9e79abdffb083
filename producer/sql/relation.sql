-- What the stream does not say of a relation: its key and whether it is one of the sink's.
-- The key is the primary key, else the first unique index over plain columns. To Debezium one with
-- a condition is a key too, though its columns are not unique.
SELECT
    (
        SELECT array_agg(a.attname::text ORDER BY k.position)
        FROM (
            SELECT i.indkey, i.indnkeyatts
            FROM pg_catalog.pg_index AS i
            WHERE i.indrelid = c.oid
              AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL
              AND (i.indpred IS NULL OR %(takes_partial)s)
            ORDER BY i.indisprimary DESC, i.indexrelid
            LIMIT 1
        ) AS key_index
        CROSS JOIN LATERAL unnest(key_index.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE k.position <= key_index.indnkeyatts
    ) AS key_columns,
    coalesce(root.relnamespace, c.relnamespace)::regnamespace::text AS root_schema,
    coalesce(root.relname, c.relname)::text AS root_table
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_class AS root ON root.oid = pg_catalog.pg_partition_root(c.oid)
WHERE c.oid = %(oid)s
