-- The tables that a publication lists, with the oid of the listing: a new one tells that a
-- table was taken out and put back. Filters and column lists are of PostgreSQL 15.
SELECT
    r.oid::bigint,
    r.prrelid::bigint,
    format('%%I.%%I', n.nspname, c.relname)
    || CASE WHEN to_jsonb(r) ->> 'prqual' IS NULL THEN '' ELSE ' (some rows)' END
    || CASE WHEN to_jsonb(r) ->> 'prattrs' IS NULL THEN '' ELSE ' (some columns)' END
FROM pg_catalog.pg_publication_rel AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.prpubid = %(oid)s
ORDER BY r.oid
