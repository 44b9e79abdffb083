-- The statements of fencing, each under its name.

-- hold_first_progress --
-- A watermark that an open transaction has inserted is seen by nobody else, so a lock stands for
-- it: by its key whoever waits knows the sink that it waits for.
SELECT pg_advisory_xact_lock(hashtextextended('bemi_progress/' || %(topic)s || '/' || partition, 0))
FROM unnest(%(partitions)s::integer[]) AS partition;

-- end_holders --
-- A row that an open transaction has changed carries that transaction's id as its xmax; of one
-- that it has inserted it holds the lock. Sinks of other topics, and of other partitions, have
-- neither. Only sessions of the same role can be ended.
WITH first AS (
    SELECT hashtextextended('bemi_progress/' || %(topic)s || '/' || partition, 0) AS key
    FROM unnest(%(partitions)s::integer[]) AS partition
)
SELECT pg_catalog.pg_terminate_backend(session.pid)
FROM pg_catalog.pg_stat_activity AS session
WHERE session.usename = current_user AND session.pid <> pg_catalog.pg_backend_pid()
    AND (
        session.backend_xid IN (
            SELECT xmax FROM public.bemi_sink_progress
            WHERE topic = %(topic)s AND partition = ANY(%(partitions)s)
        )
        OR EXISTS (
            SELECT
            FROM pg_catalog.pg_locks AS held
            JOIN first
                ON held.classid::bigint = first.key >> 32 & 4294967295
                AND held.objid::bigint = first.key & 4294967295
            WHERE held.pid = session.pid AND held.granted
                AND held.locktype = 'advisory' AND held.objsubid = 1
                AND held.database = session.datid
                AND session.datname = current_database()
        )
    );
