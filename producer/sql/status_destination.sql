-- How far the sinks are, by themselves and not by their group, and what waits for a person.
SELECT
    (SELECT extract(epoch FROM pg_catalog.now() - max(updated_at))::float8
     FROM public.bemi_sink_progress WHERE topic = %(topic)s),
    (SELECT coalesce(sum(next_offset), 0) FROM public.bemi_sink_progress
     WHERE topic = %(topic)s)::bigint,
    (SELECT extract(epoch FROM pg_catalog.now() - max(committed_at))::float8 FROM public.changes),
    (SELECT count(*) FROM public.bemi_dead_letters)
