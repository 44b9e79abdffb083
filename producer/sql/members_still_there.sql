-- Those of the tables and schemas, given by oid, that were not dropped.
SELECT c.oid::bigint, n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(oids)s)
UNION ALL
SELECT n.oid::bigint, n.nspname::text, NULL
FROM pg_catalog.pg_namespace AS n
WHERE n.oid = ANY (%(oids)s)
