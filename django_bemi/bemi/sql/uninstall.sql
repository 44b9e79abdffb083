-- What `migrate bemi zero` does to a tracked database: nothing of install.sql stays, nor of
-- bemi-django's objects, and every table has the replica identity it had before.
--
-- bemi_function_schema is replaced before the text is sent.

DO $bemi$
BEGIN
    DROP EVENT TRIGGER IF EXISTS _bemi_cover_new_tables;
    DROP EVENT TRIGGER IF EXISTS _bemi_create_table_trigger;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'bemi: the event triggers _bemi_cover_new_tables and _bemi_create_table_trigger belong to another role, which must drop them first'
        USING ERRCODE = 'insufficient_privilege';
END
$bemi$;

DO $bemi$
DECLARE
    covered record;
BEGIN
    FOR covered IN
        SELECT
            pg_catalog.format('%I.%I', n.nspname, c.relname) AS target,
            c.relreplident,
            pg_catalog.convert_from(
                pg_catalog.substring(t.tgargs, 1, pg_catalog.octet_length(t.tgargs) - 1),
                pg_catalog.getdatabaseencoding()
            ) AS identity_before
        FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE t.tgname = '_bemi_statement_trigger' AND t.tgnargs = 1
    LOOP
        BEGIN
            IF covered.relreplident = 'f' AND covered.identity_before <> '' THEN
                EXECUTE pg_catalog.format(
                    'ALTER TABLE %s REPLICA IDENTITY %s', covered.target, covered.identity_before
                );
            END IF;
        EXCEPTION WHEN insufficient_privilege OR undefined_object OR wrong_object_type THEN
            RAISE NOTICE 'bemi: table % keeps REPLICA IDENTITY FULL: %', covered.target, SQLERRM;
        END;
    END LOOP;
END
$bemi$;

-- CASCADE takes the triggers on the tables along.
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_emit_context() CASCADE;
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_cover_new_tables();
DROP PROCEDURE IF EXISTS bemi_function_schema._bemi_cover_tables(boolean);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_cover_table(oid);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_lacks_cover(oid);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_drop_row_triggers(oid);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_is_named(oid, text[]);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_uncover_table(oid);
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_create_table_trigger_func();
DROP PROCEDURE IF EXISTS bemi_function_schema._bemi_create_triggers();
DROP FUNCTION IF EXISTS bemi_function_schema._bemi_row_trigger_func() CASCADE;
