-- The statement of fencing, under its name.

-- end_holders --
-- A row that an open transaction has changed carries that transaction's id as its xmax. One that
-- it has inserted cannot be seen: there, whoever has written progress and then been silent for as
-- long as a store waits. Only sessions of the same role can be ended.
WITH progress AS (
    SELECT xmax
    FROM public.bemi_sink_progress
    WHERE topic = %(topic)s AND partition = ANY(%(partitions)s)
)
SELECT pg_catalog.pg_terminate_backend(session.pid)
FROM pg_catalog.pg_stat_activity AS session
WHERE session.usename = current_user AND session.pid <> pg_catalog.pg_backend_pid()
    AND (
        session.backend_xid IN (SELECT xmax FROM progress)
        OR cardinality(%(partitions)s) > (SELECT count(*) FROM progress)
        AND session.wait_event_type = 'Client'
        AND session.xact_start < now() - interval '10 seconds'
        AND EXISTS (
            SELECT
            FROM pg_catalog.pg_locks AS held
            WHERE held.pid = session.pid AND held.mode = 'RowExclusiveLock'
                AND held.relation = 'public.bemi_sink_progress'::regclass
        )
    );
