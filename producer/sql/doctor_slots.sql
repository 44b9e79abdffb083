-- Every slot of the server, by whoever made it.
SELECT
    s.row ->> 'slot_name',
    s.row ->> 'plugin',
    s.row ->> 'database',
    (s.row ->> 'active')::boolean,
    s.row ->> 'wal_status',
    pg_catalog.pg_wal_lsn_diff(here.lsn, (s.row ->> 'restart_lsn')::pg_lsn)::bigint,
    (s.row ->> 'safe_wal_size')::bigint
FROM (SELECT to_jsonb(slot) AS row FROM pg_catalog.pg_replication_slots AS slot) AS s
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
        THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
        ELSE pg_catalog.pg_current_wal_lsn()
    END AS lsn
) AS here
ORDER BY 1
