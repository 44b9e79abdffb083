-- The types with these oids, and all that they are made of: a domain's base, an array's element.
WITH RECURSIVE wanted (oid) AS (
    SELECT unnest(%(oids)s::pg_catalog.oid[])
    UNION
    SELECT part.oid
    FROM wanted AS w
    JOIN pg_catalog.pg_type AS t ON t.oid = w.oid
    CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) AS part (oid)
    WHERE part.oid <> 0
)
SELECT
    t.oid::bigint,
    n.nspname::text,
    t.typname::text,
    t.typtype::text,
    -- point and name have a typelem too, for their subscripts; they are no arrays.
    CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
        THEN t.typelem::bigint ELSE 0 END AS element,
    t.typbasetype::bigint,
    t.typtypmod,
    coalesce(
        (
            SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
            FROM pg_catalog.pg_enum AS e
            WHERE e.enumtypid = t.oid
        ),
        '{}'
    ) AS labels,
    t.typdelim::text
FROM wanted AS w
JOIN pg_catalog.pg_type AS t ON t.oid = w.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
