-- The server's settings that matter here, what is used of its room, and its clock.
SELECT
    (
        SELECT jsonb_object_agg(s.name, s.setting)
        FROM pg_catalog.pg_settings AS s
        WHERE s.name = ANY (%(names)s)
    ),
    current_setting('server_encoding'),
    pg_catalog.pg_is_in_recovery(),
    (SELECT count(*) FROM pg_catalog.pg_replication_slots)::integer,
    (
        SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.backend_type = 'walsender'
    )::integer,
    extract(epoch FROM pg_catalog.clock_timestamp())::float8,
    pg_catalog.pg_backend_pid()
