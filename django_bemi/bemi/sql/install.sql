-- What `migrate bemi` puts into a tracked database. Every statement may be run again.
--
-- bemi_function_schema, bemi_full_tables and bemi_ignored_tables are replaced before the text
-- is sent.
-- The functions pin search_path or say each name's schema, so nothing that a role puts into its
-- own schemas is called.

-- The trigger function: sends the context of the statement that fired it into the WAL.
--
-- The context is the last comment /*Bemi {...} Bemi*/ of the statement's text, and only when
-- nothing but blanks, semicolons and whole comments follows it, and no line comment may have
-- begun before it on its line, nor another comment in it. A value in the statement can look like
-- such a comment, but it is followed at least by the quote that ends it, so it is never taken for
-- one.
-- Without such a comment it is the setting bemi.context (COPY, psql, jobs in SQL).
--
-- It runs inside the application's statement, so it only looks at text, calls nothing outside
-- pg_catalog and raises nothing; whether the context is valid JSON is the reader's to judge.
-- Every name in it says its schema: a search_path set for the function would cost as much as all
-- the rest. Sending is an assignment because PERFORM would run a query of its own.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_emit_context() RETURNS trigger
LANGUAGE plpgsql AS $bemi$
DECLARE
    -- Behind the last one that begins a line, as Django's does.
    context pg_catalog.text := pg_catalog.split_part(
        pg_catalog.current_query(), E'\n/*Bemi ', -1
    );
    statement pg_catalog.text;
    from_comment pg_catalog.text;
    behind_comment pg_catalog.text;
    line_before pg_catalog.text;
    sent_at pg_catalog.pg_lsn;
BEGIN
    -- What Django sends, and nearly every statement is: the same as below in fewer steps.
    IF context OPERATOR(pg_catalog.~~) '{%} Bemi*/'
        AND context OPERATOR(pg_catalog.!~~) '%/*%'
        AND context OPERATOR(pg_catalog.!~~) '%--%'
    THEN
        sent_at := pg_catalog.pg_logical_emit_message(
            true, '_bemi', pg_catalog.left(context, -7)
        );
        RETURN NULL;
    END IF;
    context := NULL;
    statement := pg_catalog.current_query();
    IF pg_catalog.strpos(statement, '/*Bemi ') OPERATOR(pg_catalog.>) 0 THEN
        from_comment := pg_catalog.split_part(statement, '/*Bemi ', -1);
        context := pg_catalog.split_part(from_comment, ' Bemi*/', 1);
        IF pg_catalog.left(context, 1) OPERATOR(pg_catalog.<>) '{'
            OR pg_catalog.right(context, 1) OPERATOR(pg_catalog.<>) '}'
            -- Or another one begins in it, of either kind: then a value opened what only looks
            -- like one, and that other one is made to end it.
            OR pg_catalog.strpos(context, '/*') OPERATOR(pg_catalog.>) 0
            OR pg_catalog.strpos(context, '--') OPERATOR(pg_catalog.>) 0
            -- Or what begins it is never ended.
            OR pg_catalog.length(context)
                OPERATOR(pg_catalog.=) pg_catalog.length(from_comment)
        THEN
            context := NULL;
        ELSE
            behind_comment := pg_catalog.substr(
                from_comment,
                pg_catalog.length(context) OPERATOR(pg_catalog.+) 8
            );
            -- A comment behind may not hold the beginning of another one: a value could open
            -- what only looks like a comment and let a real one further behind close it.
            IF behind_comment OPERATOR(pg_catalog.<>) '' AND (
                pg_catalog.length(behind_comment) OPERATOR(pg_catalog.>) 10000
                OR behind_comment OPERATOR(pg_catalog.!~)
                    '^[[:space:];]*(/[*]((?!/[*]|[*]/).)*[*]/[[:space:];]*)*$'
            ) THEN
                context := NULL;
            ELSIF pg_catalog.strpos(statement, '--') OPERATOR(pg_catalog.>) 0 THEN
                line_before := pg_catalog.split_part(
                    pg_catalog.translate(
                        pg_catalog.left(
                            statement,
                            pg_catalog.length(statement)
                                OPERATOR(pg_catalog.-) pg_catalog.length(from_comment)
                                OPERATOR(pg_catalog.-) 7
                        ),
                        pg_catalog.chr(13),
                        pg_catalog.chr(10)
                    ),
                    pg_catalog.chr(10),
                    -1
                );
                IF pg_catalog.strpos(line_before, '--') OPERATOR(pg_catalog.>) 0 THEN
                    context := NULL;
                END IF;
            END IF;
        END IF;
    END IF;
    IF context IS NULL THEN
        context := pg_catalog.current_setting('bemi.context', true);
    END IF;
    IF context OPERATOR(pg_catalog.<>) '' THEN
        sent_at := pg_catalog.pg_logical_emit_message(true, '_bemi', context);
    END IF;
    RETURN NULL;
END
$bemi$;

-- Any role that may create a trigger on its table may use this function for it.
GRANT EXECUTE ON FUNCTION bemi_function_schema._bemi_emit_context() TO PUBLIC;

-- Whether `schema.table` is like one of the patterns; a partition is as the table it is a part of.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_is_named(relation oid, patterns text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $bemi$
    SELECT coalesce(bool_or(n.nspname || '.' || c.relname LIKE ANY (patterns)), false)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid IN (relation, pg_partition_root(relation))
$bemi$;

-- Whether a relation is a table to track that lacks something.
--
-- Tracked are permanent tables and partitioned tables of all user schemas, except those of
-- an extension and the pipeline's own, which would track themselves.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_lacks_cover(relation oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $bemi$
    SELECT count(*) > 0
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_class AS root ON root.oid = pg_partition_root(c.oid)
    WHERE c.oid = relation
        AND c.relkind IN ('r', 'p')
        AND c.relpersistence = 'p'
        AND n.nspname <> 'information_schema'
        AND NOT starts_with(n.nspname, 'pg_')
        AND coalesce(root.relname, c.relname) <> 'changes'
        AND NOT starts_with(coalesce(root.relname, c.relname), 'bemi_')
        AND NOT bemi_function_schema._bemi_is_named(c.oid, bemi_ignored_tables)
        AND NOT EXISTS (
            SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        )
        AND (
            (c.relreplident <> 'f' AND bemi_function_schema._bemi_is_named(c.oid, bemi_full_tables))
            OR NOT EXISTS (
                -- One that is disabled, or fires on a replica only, sends nothing.
                SELECT FROM pg_trigger AS t
                WHERE t.tgrelid = c.oid AND t.tgname = '_bemi_statement_trigger'
                    AND t.tgenabled IN ('O', 'A')
            )
            OR EXISTS (
                SELECT FROM pg_trigger AS t
                WHERE t.tgrelid = c.oid AND starts_with(t.tgname, '_bemi_row_trigger_')
                    AND t.tgparentid = 0
            )
        )
$bemi$;

-- Takes the triggers of bemi-django away from a table: it put them on every one.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_drop_row_triggers(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bemi$
DECLARE
    old_trigger name;
BEGIN
    FOR old_trigger IN
        SELECT t.tgname FROM pg_trigger AS t
        WHERE t.tgrelid = relation AND starts_with(t.tgname, '_bemi_row_trigger_')
            AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', old_trigger, relation::regclass);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'bemi: table % keeps the triggers of bemi-django: only its owner can drop them', relation::regclass;
END
$bemi$;

-- Gives one table its trigger and its replica identity, and takes away row triggers of
-- bemi-django. Tells by a NOTICE and false when the role is not allowed to.
--
-- The replica identity that was there before stands in the trigger's argument, so that
-- uninstalling can give it back.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_cover_table(relation oid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bemi$
DECLARE
    wants_full boolean := bemi_function_schema._bemi_is_named(relation, bemi_full_tables);
    target text;
    identity_before text;
BEGIN
    SELECT format('%I.%I', n.nspname, c.relname),
        coalesce(
            (
                SELECT nullif(convert_from(
                    substring(t.tgargs FROM 1 FOR octet_length(t.tgargs) - 1),
                    getdatabaseencoding()
                ), '')
                FROM pg_trigger AS t
                WHERE t.tgrelid = c.oid AND t.tgname = '_bemi_statement_trigger'
                    AND t.tgnargs = 1
            ),
            CASE
                WHEN NOT wants_full OR c.relreplident = 'f' THEN ''
                WHEN c.relreplident = 'd' THEN 'DEFAULT'
                WHEN c.relreplident = 'n' THEN 'NOTHING'
                ELSE (
                    SELECT format('USING INDEX %I', i.relname)
                    FROM pg_index AS x
                    JOIN pg_class AS i ON i.oid = x.indexrelid
                    WHERE x.indrelid = c.oid AND x.indisreplident
                )
            END,
            'DEFAULT'
        )
    INTO target, identity_before
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = relation;
    IF target IS NULL THEN
        RETURN true;
    END IF;
    -- The stronger lock first: taking it second could deadlock with the application.
    IF wants_full THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', target);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER _bemi_statement_trigger'
        ' BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION bemi_function_schema._bemi_emit_context(%L)',
        target,
        identity_before
    );
    PERFORM bemi_function_schema._bemi_drop_row_triggers(relation);
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'bemi: table % is not tracked with its context: only its owner can add the trigger', target;
    RETURN false;
END
$bemi$;

-- Takes the trigger of a table away and gives it back the replica identity it had before.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_uncover_table(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bemi$
DECLARE
    target text;
    identity_before text;
BEGIN
    SELECT
        format('%I.%I', n.nspname, c.relname),
        CASE WHEN c.relreplident = 'f' THEN nullif(convert_from(
            substring(t.tgargs FROM 1 FOR octet_length(t.tgargs) - 1), getdatabaseencoding()
        ), '') END
    INTO STRICT target, identity_before
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE t.tgrelid = relation AND t.tgname = '_bemi_statement_trigger';
    IF identity_before IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', target, identity_before);
    END IF;
    EXECUTE format('DROP TRIGGER _bemi_statement_trigger ON %s', target);
EXCEPTION WHEN insufficient_privilege OR undefined_object OR wrong_object_type THEN
    RAISE NOTICE 'bemi: table % stays as it is: %', target, SQLERRM;
END
$bemi$;

-- Covers every table that lacks something, uncovers those that are ignored since, and takes
-- bemi-django's triggers from those that are not tracked, as the pipeline's own. With
-- commit_each each table is a transaction of its own, so no lock is held for longer than one
-- table takes; that works only where the CALL is not inside a transaction.
CREATE OR REPLACE PROCEDURE bemi_function_schema._bemi_cover_tables(commit_each boolean)
LANGUAGE plpgsql AS $bemi$
DECLARE
    relation oid;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_catalog.pg_class AS c
        WHERE c.relkind IN ('r', 'p')
            AND bemi_function_schema._bemi_lacks_cover(c.oid)
        ORDER BY c.oid
    LOOP
        PERFORM bemi_function_schema._bemi_cover_table(relation);
        IF commit_each THEN
            COMMIT;
        END IF;
    END LOOP;
    FOR relation IN
        SELECT t.tgrelid FROM pg_catalog.pg_trigger AS t
        WHERE t.tgname = '_bemi_statement_trigger'
            AND bemi_function_schema._bemi_is_named(t.tgrelid, bemi_ignored_tables)
        ORDER BY t.tgrelid
    LOOP
        PERFORM bemi_function_schema._bemi_uncover_table(relation);
        IF commit_each THEN
            COMMIT;
        END IF;
    END LOOP;
    FOR relation IN
        SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_trigger AS t
        WHERE pg_catalog.starts_with(t.tgname, '_bemi_row_trigger_') AND t.tgparentid = 0
        ORDER BY t.tgrelid
    LOOP
        PERFORM bemi_function_schema._bemi_drop_row_triggers(relation);
        IF commit_each THEN
            COMMIT;
        END IF;
    END LOOP;
END
$bemi$;

-- Covers a table as soon as it is made. It never makes the CREATE TABLE fail.
CREATE OR REPLACE FUNCTION bemi_function_schema._bemi_cover_new_tables() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bemi$
DECLARE
    relation oid;
BEGIN
    FOR relation IN
        SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands()
        WHERE classid = 'pg_class'::regclass
    LOOP
        IF bemi_function_schema._bemi_lacks_cover(relation) THEN
            PERFORM bemi_function_schema._bemi_cover_table(relation);
        END IF;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'bemi: a new table is not tracked with its context: %', SQLERRM;
END
$bemi$;

-- Event triggers are for superusers and the roles a cloud puts in their place. Without one,
-- tables made outside `manage.py migrate` are covered by the next `manage.py migrate`.
DO $bemi$
BEGIN
    DROP EVENT TRIGGER IF EXISTS _bemi_create_table_trigger;
    DROP EVENT TRIGGER IF EXISTS _bemi_cover_new_tables;
    CREATE EVENT TRIGGER _bemi_cover_new_tables ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA')
        EXECUTE FUNCTION bemi_function_schema._bemi_cover_new_tables();
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'bemi: this role may not create event triggers; tables made outside "manage.py migrate" are covered by the next one';
END
$bemi$;
