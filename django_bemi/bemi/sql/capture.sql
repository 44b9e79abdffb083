-- What bemi.testing puts into a database for as long as a block lasts: for the connection alone.
--
-- The function is temporary, and the triggers go with it at the end of the session at the
-- latest. Other connections fire them too, and pass.
CREATE TEMPORARY TABLE bemi_captured (
    number bigint GENERATED ALWAYS AS IDENTITY,
    schema_name text,
    table_name text,
    operation text,
    old_row text,
    new_row text,
    statement text,
    setting text
);

CREATE FUNCTION pg_temp.bemi_capture() RETURNS trigger
LANGUAGE plpgsql AS $bemi$
BEGIN
    IF pg_catalog.pg_backend_pid() = TG_ARGV[0]::integer THEN
        INSERT INTO pg_temp.bemi_captured
            (schema_name, table_name, operation, old_row, new_row, statement, setting)
        VALUES (
            TG_TABLE_SCHEMA,
            TG_TABLE_NAME,
            CASE TG_OP WHEN 'INSERT' THEN 'CREATE' ELSE TG_OP END,
            CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN pg_catalog.to_jsonb(OLD)::text END,
            CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN pg_catalog.to_jsonb(NEW)::text END,
            pg_catalog.current_query(),
            pg_catalog.current_setting('bemi.context', true)
        );
    END IF;
    RETURN NULL;
END
$bemi$;

DO $bemi$
DECLARE
    target text;
BEGIN
    FOR target IN
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        -- A partition has the triggers of rows from the table that it is a part of.
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
            AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
            AND c.relname <> 'changes' AND NOT starts_with(c.relname, 'bemi_')
            AND pg_catalog.has_table_privilege(c.oid, 'TRIGGER')
    LOOP
        EXECUTE format(
            'CREATE TRIGGER _bemi_capture_rows AFTER INSERT OR UPDATE OR DELETE ON %s'
            ' FOR EACH ROW EXECUTE FUNCTION pg_temp.bemi_capture(%L)',
            target, pg_catalog.pg_backend_pid()
        );
        EXECUTE format(
            'CREATE TRIGGER _bemi_capture_truncate AFTER TRUNCATE ON %s'
            ' FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.bemi_capture(%L)',
            target, pg_catalog.pg_backend_pid()
        );
    END LOOP;
END
$bemi$;
