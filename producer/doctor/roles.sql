-- Roles of least privilege for a pipeline, each with what its part does and nothing else.
--
-- Run it as a superuser with psql in the tracked database and in the one that holds `changes`
-- (they may be the same). It may be run again, and has to be: once before the table `changes` is
-- made (by `bemi-sink migrate` as bemi_retention) and once after it. Give each role its password
-- then by \password.

-- The roles; they belong to the whole server.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['bemi_source', 'bemi_sink', 'bemi_retention', 'bemi_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
        END IF;
    END LOOP;
END
$$;
-- Whoever may replicate can read every row of every table: keep its password like a superuser's.
ALTER ROLE bemi_source REPLICATION;

-- The source: DB_USER of the producer. It reads the stream, writes heartbeats (everybody may) and
-- reads tables for snapshots.
DO $$
DECLARE
    pg_schema text;
    relation record;
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO bemi_source', current_database());
    FOR pg_schema IN
        SELECT nspname FROM pg_catalog.pg_namespace
        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO bemi_source', pg_schema);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO bemi_source', pg_schema);
    END LOOP;
    -- A table without an identity would refuse UPDATE and DELETE once it is published.
    FOR relation IN
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
            AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
            AND (c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary
            )))
    LOOP
        EXECUTE format('ALTER TABLE %I.%I REPLICA IDENTITY FULL', relation.nspname, relation.relname);
    END LOOP;
    -- Here, because only a superuser may make one for all tables.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = '{publication}') THEN
        CREATE PUBLICATION "{publication_quoted}" FOR ALL TABLES;
    END IF;
END
$$;

-- The destination: bemi_retention owns the sink's tables, because PostgreSQL lets only an owner
-- make and drop partitions. It runs `bemi-sink migrate`, `bemi-sink partitions`,
-- `bemi-sink retention` and `bemi-sink erase`, now and then, and could alter the trail, which seals
-- would show.
DO $$
DECLARE
    relation text;
BEGIN
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO bemi_sink, bemi_retention, bemi_reader', current_database()
    );
    -- The sink stages what it cannot store at once in a table that ends with the transaction, and
    -- `bemi-sink erase` lists there what it will erase.
    EXECUTE format(
        'GRANT TEMPORARY ON DATABASE %I TO bemi_sink, bemi_retention', current_database()
    );
    GRANT USAGE ON SCHEMA public TO bemi_sink, bemi_reader;
    GRANT USAGE, CREATE ON SCHEMA public TO bemi_retention;
    IF to_regclass('public.changes') IS NULL THEN
        RAISE NOTICE 'public.changes is not there yet: run `bemi-sink migrate` as bemi_retention, then this again';
        RETURN;
    END IF;
    FOR relation IN
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND (
            c.relname IN (
                'changes', 'bemi_sink_progress', 'bemi_dead_letters', 'bemi_migrations',
                'bemi_seals', 'bemi_erasures', 'bemi_erased_changes'
            )
            OR c.relname LIKE 'bemi\_changes\_%'
        )
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO bemi_retention', relation);
    END LOOP;
    -- The sink: DESTINATION_DB_USER. It adds rows and moves its own watermark; it can neither
    -- change nor remove what is stored. It reads `changes` to copy the table's form.
    GRANT SELECT, INSERT ON public.changes, public.bemi_seals TO bemi_sink;
    GRANT SELECT, INSERT ON public.bemi_erasures, public.bemi_erased_changes TO bemi_sink;
    GRANT SELECT, INSERT, UPDATE ON public.bemi_sink_progress TO bemi_sink;
    GRANT SELECT, INSERT ON public.bemi_dead_letters TO bemi_sink;
    GRANT SELECT ON public.bemi_migrations TO bemi_sink;
    -- The reader: people and programs that ask who changed what.
    GRANT SELECT ON public.changes TO bemi_reader;
END
$$;
