-- What the role may do. Managed servers grant replication by membership in a role of theirs.
SELECT
    r.rolname::text,
    r.rolsuper,
    r.rolreplication OR EXISTS (
        SELECT FROM pg_catalog.pg_roles AS granted
        WHERE granted.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser')
            AND pg_catalog.pg_has_role(r.oid, granted.oid, 'member')
    ),
    (
        SELECT bool_or(pg_catalog.has_function_privilege(f.oid, 'EXECUTE'))
        FROM pg_catalog.pg_proc AS f
        WHERE f.proname = 'pg_logical_emit_message'
            AND f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
    ),
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = current_user
