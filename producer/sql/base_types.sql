-- The type below each domain, through domains of domains, with the modifier it ends at.
WITH RECURSIVE below (domain_oid, type_oid, type_modifier) AS (
    SELECT t.oid, t.typbasetype, t.typtypmod
    FROM pg_catalog.pg_type AS t
    WHERE t.oid = ANY (%(oids)s) AND t.typtype = 'd'
    UNION ALL
    SELECT b.domain_oid, t.typbasetype, t.typtypmod
    FROM below AS b
    JOIN pg_catalog.pg_type AS t ON t.oid = b.type_oid
    WHERE t.typtype = 'd'
)
SELECT b.domain_oid::bigint, b.type_oid::bigint, b.type_modifier
FROM below AS b
JOIN pg_catalog.pg_type AS t ON t.oid = b.type_oid
WHERE t.typtype <> 'd'
