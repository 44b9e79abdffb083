-- Tables whose UPDATE and DELETE would fail once a publication covers them.
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND (
      c.relreplident = 'n'
      OR (
          c.relreplident = 'd'
          AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary
          )
      )
  )
ORDER BY 1, 2
