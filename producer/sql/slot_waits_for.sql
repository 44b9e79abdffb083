-- Whom the making of a slot waits for: every transaction that was open when it began.
SELECT b.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), a.xact_start
FROM (SELECT DISTINCT unnest(pg_catalog.pg_blocking_pids(%(pid)s)) AS pid) AS b
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
ORDER BY a.xact_start NULLS FIRST
