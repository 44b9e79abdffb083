-- What a publication covers; its row's version changes with every ALTER PUBLICATION ... SET.
SELECT
    p.oid::bigint,
    p.xmin::text::bigint,
    p.puballtables,
    p.pubviaroot,
    p.pubinsert,
    p.pubupdate,
    p.pubdelete,
    p.pubtruncate
FROM pg_catalog.pg_publication AS p
WHERE p.pubname = %(name)s
