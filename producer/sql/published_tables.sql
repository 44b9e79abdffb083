-- Every table that can be published, and whether this publication does it.
SELECT n.nspname::text, c.relname::text, p.tablename IS NOT NULL, c.relreplident::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_publication_tables AS p
  ON p.pubname = %(name)s AND p.schemaname = n.nspname AND p.tablename = c.relname
WHERE c.relkind = ANY (%(kinds)s)
  AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
