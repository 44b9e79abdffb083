-- The schemas that a publication lists: PostgreSQL 15 and newer.
SELECT s.oid::bigint, s.pnnspid::bigint, format('schema %%I', n.nspname)
FROM pg_catalog.pg_publication_namespace AS s
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.pnnspid
WHERE s.pnpubid = %(oid)s
ORDER BY s.oid
