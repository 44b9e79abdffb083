-- How much of the log the slot keeps and how far it is; on a standby up to what it has received.
SELECT
    (s.row ->> 'active')::boolean AS is_active,
    s.row ->> 'wal_status' AS wal_status,
    pg_catalog.pg_wal_lsn_diff(here.lsn, (s.row ->> 'restart_lsn')::pg_lsn)::bigint AS retained_bytes,
    pg_catalog.pg_wal_lsn_diff(here.lsn, (s.row ->> 'confirmed_flush_lsn')::pg_lsn)::bigint
        AS behind_bytes,
    (s.row ->> 'safe_wal_size')::bigint AS safe_bytes,
    (
        SELECT extract(epoch FROM pg_catalog.now() - min(a.xact_start))::float8
        FROM pg_catalog.pg_stat_activity AS a
        WHERE a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL
    ) AS oldest_transaction_seconds
FROM (
    -- As an object, because a column that a version lacks is then NULL.
    SELECT to_jsonb(slot) AS row FROM pg_catalog.pg_replication_slots AS slot
    WHERE slot.slot_name = %(name)s
) AS s
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
        THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
        ELSE pg_catalog.pg_current_wal_lsn()
    END AS lsn
) AS here
