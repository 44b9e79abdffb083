"""Hand-picked SQL for everything about events that is no value: keys, identity, order. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.script import Step

TOAST_TYPES = {
    "text": "repeat('t', 3000)",
    "varchar(20000)": "repeat('v', 3000)",
    "character(3000)": "'c'",
    "bytea": "decode(repeat('ff', 3000), 'hex')",
    "json": "('\"' || repeat('j', 3000) || '\"')::json",
    "jsonb": "('\"' || repeat('j', 3000) || '\"')::jsonb",
    "xml": "('<a>' || repeat('x', 3000) || '</a>')::xml",
    "numeric": "repeat('9', 9000)::numeric",
    "hstore": "hstore('k', repeat('h', 3000))",
    "citext": "repeat('c', 3000)",
    "tsvector": "array_to_tsvector((SELECT array_agg('word' || i) FROM generate_series(1, 300) i))",
    "bit varying": "repeat('1', 24000)::varbit",
    "text[]": "array_fill('a'::text, ARRAY[600])",
    "varchar(9)[]": "array_fill('a'::varchar, ARRAY[600])",
    "integer[]": "array_fill(1, ARRAY[900])",
    "bigint[]": "array_fill(1::bigint, ARRAY[600])",
    "smallint[]": "array_fill(1::smallint, ARRAY[1500])",
    "date[]": "array_fill('2020-01-01'::date, ARRAY[900])",
    "timestamp[]": "array_fill('2020-01-01'::timestamp, ARRAY[600])",
    "timestamptz[]": "array_fill('2020-01-01'::timestamptz, ARRAY[600])",
    "uuid[]": "array_fill('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, ARRAY[300])",
    "bytea[]": "array_fill('\\x01'::bytea, ARRAY[600])",
    "json[]": "array_fill('{}'::json, ARRAY[600])",
    "numeric(7,2)[]": "array_fill(1.5, ARRAY[600])",
    "double precision[]": "array_fill(1.5::float8, ARRAY[600])",
    "boolean[]": "array_fill(true, ARRAY[3000])",
    "mood[]": "array_fill('ok'::mood, ARRAY[900])",
    "inet[]": "array_fill('10.0.0.1'::inet, ARRAY[600])",
}
"""Types whose values may be stored out of line, with such a value."""


def event_steps() -> Iterator[Step]:
    """Yield all of it; tables first, in one go."""
    yield from map(_schema_change, _TABLES)
    yield from _toast_tables()
    yield from map(Step, _CHANGES)
    yield from _toast_changes()
    for changes, statements in _EVOLUTION:
        yield from map(_schema_change, changes)
        yield from map(Step, statements)


def _schema_change(statement: str) -> Step:
    return Step(statement, changes_schema=True)


def _toast_tables() -> Iterator[Step]:
    for identity in ("DEFAULT", "FULL"):
        columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(TOAST_TYPES))
        storage = ", ".join(
            f"ALTER COLUMN c{n} SET STORAGE EXTERNAL" for n in range(len(TOAST_TYPES))
        )
        table = f"toast_{identity.lower()}"
        yield _schema_change(f"CREATE TABLE {table} (id int PRIMARY KEY, n int, {columns})")
        # A numeric cannot be stored so; it is large enough without.
        yield _schema_change(f"ALTER TABLE {table} {storage}")
        yield _schema_change(f"ALTER TABLE {table} REPLICA IDENTITY {identity}")


def _toast_changes() -> Iterator[Step]:
    values = ", ".join(TOAST_TYPES.values())
    for table in ("toast_default", "toast_full"):
        yield Step(f"INSERT INTO {table} VALUES (1, 1, {values})")
        yield Step(f"UPDATE {table} SET n = 2")
        yield Step(f"UPDATE {table} SET n = 3, c0 = 'short', c12 = '{{a}}'")
        yield Step(f"UPDATE {table} SET id = 2")
        yield Step(f"UPDATE {table} SET c1 = NULL, c3 = NULL, c5 = NULL")
        yield Step(f"DELETE FROM {table}")


_TABLES = (
    'CREATE SCHEMA "Odd.Schema"',
    "CREATE TABLE one_key (id serial PRIMARY KEY, name varchar(20) NOT NULL, amount numeric(7,2)"
    " NOT NULL, note text DEFAULT 'none', made timestamptz NOT NULL DEFAULT now(),"
    " flag boolean NOT NULL DEFAULT true, day date, doc jsonb, secret text, mail varchar(60))",
    "CREATE TABLE two_keys (b int, v text, a text, PRIMARY KEY (a, b))",
    "CREATE TABLE text_key (id text PRIMARY KEY)",
    "CREATE TABLE nested (id int PRIMARY KEY, v text[], note text DEFAULT 'none')",
    "ALTER TABLE nested REPLICA IDENTITY FULL",
    "CREATE TABLE numbers_key (amount numeric(7,2), small numeric(9,8), ratio real, v text,"
    " PRIMARY KEY (amount, small, ratio))",
    "CREATE TABLE times_key (day date, at timestamp, of_day time, PRIMARY KEY (day, at, of_day))",
    "CREATE TABLE no_key (a int, b text)",
    "ALTER TABLE no_key REPLICA IDENTITY FULL",
    "CREATE TABLE insert_only (a int, b text)",
    "CREATE TABLE unique_only (a int, b text NOT NULL, c int NOT NULL)",
    "CREATE UNIQUE INDEX unique_only_b ON unique_only (b)",
    "CREATE UNIQUE INDEX unique_only_c ON unique_only (c)",
    "ALTER TABLE unique_only REPLICA IDENTITY USING INDEX unique_only_c",
    "CREATE TABLE key_and_index (id int PRIMARY KEY, other int NOT NULL, v text)",
    "CREATE UNIQUE INDEX key_and_index_other ON key_and_index (other)",
    "ALTER TABLE key_and_index REPLICA IDENTITY USING INDEX key_and_index_other",
    "CREATE TABLE nullable_unique (a int UNIQUE, b text)",
    "ALTER TABLE nullable_unique REPLICA IDENTITY FULL",
    "CREATE TABLE partial_unique (a int NOT NULL, b text NOT NULL)",
    "CREATE UNIQUE INDEX partial_unique_a ON partial_unique (a) WHERE b <> ''",
    "CREATE UNIQUE INDEX partial_unique_b ON partial_unique (lower(b))",
    "ALTER TABLE partial_unique REPLICA IDENTITY FULL",
    "CREATE TABLE full_identity (id int PRIMARY KEY, v text, w int)",
    "ALTER TABLE full_identity REPLICA IDENTITY FULL",
    "CREATE TABLE nothing_identity (id int PRIMARY KEY, v text)",
    "ALTER TABLE nothing_identity REPLICA IDENTITY NOTHING",
    "CREATE TABLE key_only (id int PRIMARY KEY)",
    "CREATE TABLE included (id int, v int, PRIMARY KEY (id) INCLUDE (v))",
    "CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int)",
    "ALTER TABLE deferred REPLICA IDENTITY FULL",
    "CREATE TABLE no_columns ()",
    "ALTER TABLE no_columns REPLICA IDENTITY FULL",
    "CREATE TABLE generated (id int PRIMARY KEY, a int,"
    " twice int GENERATED ALWAYS AS (a * 2) STORED, number int GENERATED BY DEFAULT AS IDENTITY)",
    'CREATE TABLE "Odd.Schema"."Odd table ü" ("Id" int PRIMARY KEY, "a-b" text, "a.c" text,'
    ' "1st" int, "quo""te" text, "select" int)',
    "CREATE TABLE parted (id int, day date, v text, PRIMARY KEY (id, day))"
    " PARTITION BY RANGE (day)",
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
    "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)",
    "CREATE TABLE parent (id int PRIMARY KEY, v text)",
    "CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (parent)",
)

_CHANGES = (
    "INSERT INTO one_key (name, amount) VALUES ('a', 1.5)",
    "INSERT INTO one_key (name, amount, note, day, doc, secret, mail) VALUES"
    " ('b', 2, NULL, '2020-02-29', '{\"a\": 1}', 'hush', 'someone@example.org'),"
    " ('c', 3, '', NULL, NULL, '', ''), ('ünï 😀', 4, 'n', NULL, NULL, 'ünï 😀', 'ünï 😀')",
    "UPDATE one_key SET name = 'd' WHERE id = 1",
    "UPDATE one_key SET name = name",
    "UPDATE one_key SET id = 100 WHERE id = 1",
    "UPDATE one_key SET id = id + 1000",
    "DELETE FROM one_key WHERE name = 'c'",
    "TRUNCATE one_key",
    "INSERT INTO two_keys (a, b, v) VALUES ('x', 1, 'v'), ('y', 2, NULL)",
    "UPDATE two_keys SET v = 'w'",
    "UPDATE two_keys SET b = 3 WHERE a = 'x'",
    "DELETE FROM two_keys",
    "INSERT INTO text_key VALUES (E'a\\nline')",
    "UPDATE text_key SET id = E'another\\nline'",
    "INSERT INTO nested VALUES (1, '{{a,b},{c,d}}'), (2, '{a}')",
    "UPDATE nested SET v = v",
    "UPDATE nested SET note = NULL",
    "UPDATE nested SET note = NULL",
    "UPDATE nested SET note = 'none'",
    "INSERT INTO numbers_key VALUES (1.50, 0.00000012, 1.5), (0, -0.5, 'NaN'), (-7, 0, 'Infinity')",
    "UPDATE numbers_key SET amount = amount + 100",
    "DELETE FROM numbers_key",
    "INSERT INTO times_key VALUES ('2020-02-29', '2020-02-29 01:02:03.456', '04:05:06.789'),"
    " ('1969-12-31', '1969-12-31 23:59:59', '00:00:00')",
    "UPDATE times_key SET day = day + 400",
    "DELETE FROM times_key",
    "INSERT INTO no_key VALUES (1, 'a'), (1, 'a'), (NULL, NULL)",
    "UPDATE no_key SET b = 'b' WHERE a = 1",
    "UPDATE no_key SET a = a",
    "DELETE FROM no_key",
    "INSERT INTO insert_only VALUES (1, 'a')",
    "TRUNCATE insert_only, two_keys",
    "INSERT INTO unique_only VALUES (1, 'a', 1), (2, 'b', 2)",
    "UPDATE unique_only SET a = 3 WHERE c = 1",
    "UPDATE unique_only SET c = 3 WHERE c = 1",
    "UPDATE unique_only SET b = 'z' WHERE c = 2",
    "DELETE FROM unique_only",
    "INSERT INTO key_and_index VALUES (1, 1, 'a'), (2, 2, 'b')",
    "UPDATE key_and_index SET v = 'c'",
    "UPDATE key_and_index SET id = 3 WHERE id = 1",
    "UPDATE key_and_index SET other = 4 WHERE id = 2",
    "DELETE FROM key_and_index",
    "INSERT INTO nullable_unique VALUES (1, 'a'), (NULL, 'b')",
    "UPDATE nullable_unique SET a = 2 WHERE a = 1",
    "UPDATE nullable_unique SET b = 'c' WHERE a IS NULL",
    "DELETE FROM nullable_unique",
    "INSERT INTO partial_unique VALUES (1, 'a')",
    "UPDATE partial_unique SET a = 2",
    "DELETE FROM partial_unique",
    "INSERT INTO full_identity VALUES (1, 'a', 1), (2, 'b', NULL)",
    "UPDATE full_identity SET v = 'c'",
    "UPDATE full_identity SET v = v",
    "UPDATE full_identity SET id = id + 10",
    "DELETE FROM full_identity",
    "INSERT INTO nothing_identity VALUES (1, 'a')",
    "INSERT INTO key_only VALUES (1), (2)",
    "UPDATE key_only SET id = 3 WHERE id = 1",
    "UPDATE key_only SET id = id",
    "DELETE FROM key_only",
    "INSERT INTO included VALUES (1, 1)",
    "UPDATE included SET v = 2",
    "UPDATE included SET id = 2",
    "DELETE FROM included",
    "INSERT INTO deferred VALUES (1, 1), (2, 2)",
    "UPDATE deferred SET id = 3 - id",
    "DELETE FROM deferred",
    "INSERT INTO no_columns DEFAULT VALUES",
    "DELETE FROM no_columns",
    "INSERT INTO generated VALUES (1, 2)",
    "UPDATE generated SET a = 3",
    "DELETE FROM generated",
    "INSERT INTO \"Odd.Schema\".\"Odd table ü\" VALUES (1, 'a', 'b', 2, 'q', 3)",
    'UPDATE "Odd.Schema"."Odd table ü" SET "Id" = 2',
    'DELETE FROM "Odd.Schema"."Odd table ü"',
    "INSERT INTO parted VALUES (1, '2020-05-05', 'a'), (2, '2021-05-05', 'b')",
    "UPDATE parted SET day = '2021-06-06' WHERE id = 1",
    "DELETE FROM parted",
    "TRUNCATE parted",
    "INSERT INTO unlogged VALUES (1)",
    "INSERT INTO parent VALUES (1, 'a')",
    "INSERT INTO child VALUES (2, 'b', 3)",
    "UPDATE parent SET v = 'c'",
    "DELETE FROM parent",
    # Transactions.
    "BEGIN; INSERT INTO key_only VALUES (10); SAVEPOINT s; INSERT INTO key_only VALUES (11);"
    " ROLLBACK TO s; INSERT INTO key_only VALUES (12); RELEASE s; COMMIT",
    "BEGIN; INSERT INTO key_only VALUES (13); ROLLBACK",
    "BEGIN; INSERT INTO no_key VALUES (1, 'a'); INSERT INTO key_only VALUES (14);"
    " INSERT INTO no_key VALUES (2, 'b'); DELETE FROM key_only; TRUNCATE no_key, key_only; COMMIT",
    "BEGIN; COMMIT",
    "BEGIN; SELECT pg_current_xact_id(); COMMIT",
    # Messages.
    "SELECT pg_logical_emit_message(true, 'app', 'text')",
    "SELECT pg_logical_emit_message(true, 'app', '')",
    "SELECT pg_logical_emit_message(true, '', '{\"json\": true}')",
    "SELECT pg_logical_emit_message(true, 'bytes', '\\x00ff80'::bytea)",
    "BEGIN; SELECT pg_logical_emit_message(true, 'app', 'in'); INSERT INTO key_only VALUES (20);"
    " SELECT pg_logical_emit_message(true, 'audit.x', 'ü'); UPDATE key_only SET id = 21; COMMIT",
    "SELECT pg_logical_emit_message(false, 'app', 'alone')",
    "INSERT INTO key_only VALUES (30)",
    "BEGIN; INSERT INTO key_only VALUES (31); SELECT pg_logical_emit_message(false, 'app', 'b');"
    " INSERT INTO key_only VALUES (32); COMMIT",
    "INSERT INTO key_only VALUES (33)",
)

# What changes the tables, and what is done to them afterwards.
_EVOLUTION = (
    (
        (
            "ALTER TABLE one_key ADD COLUMN added int DEFAULT 5",
            "ALTER TABLE one_key DROP COLUMN note",
            "ALTER TABLE one_key RENAME COLUMN name TO title",
            "ALTER TABLE one_key ALTER COLUMN amount TYPE numeric(9,3)",
            "ALTER TABLE two_keys DROP CONSTRAINT two_keys_pkey, ADD PRIMARY KEY (b)",
            "ALTER TABLE no_key ADD PRIMARY KEY (a)",
            "ALTER TABLE full_identity REPLICA IDENTITY DEFAULT",
            "ALTER TABLE key_only RENAME TO renamed",
            "DROP TABLE included",
            "CREATE TABLE included (v text, id bigint PRIMARY KEY)",
        ),
        (
            "INSERT INTO one_key (title, amount) VALUES ('e', 5.125)",
            "UPDATE one_key SET added = NULL",
            "DELETE FROM one_key",
            "INSERT INTO two_keys VALUES (7, 'v', 'a')",
            "UPDATE two_keys SET a = 'b'",
            "DELETE FROM two_keys",
            "INSERT INTO no_key VALUES (9, 'z')",
            "UPDATE no_key SET a = 10",
            "DELETE FROM no_key",
            "INSERT INTO full_identity VALUES (5, 'v', 5)",
            "UPDATE full_identity SET v = 'w'",
            "DELETE FROM full_identity",
            "INSERT INTO renamed VALUES (40)",
            "INSERT INTO included VALUES ('v', 1)",
            "DELETE FROM included",
        ),
    ),
    (
        (
            "ALTER TABLE one_key ALTER COLUMN title DROP NOT NULL",
            "ALTER TABLE one_key ALTER COLUMN added SET DEFAULT 6",
            "ALTER TABLE one_key ADD COLUMN last text",
            "ALTER TABLE two_keys DROP CONSTRAINT two_keys_pkey",
            "ALTER TABLE two_keys REPLICA IDENTITY FULL",
        ),
        (
            "INSERT INTO one_key (amount) VALUES (6)",
            "UPDATE one_key SET last = 'l'",
            "DELETE FROM one_key",
            "INSERT INTO two_keys VALUES (8, 'v', 'c')",
            "UPDATE two_keys SET b = 9",
            "DELETE FROM two_keys",
        ),
    ),
)
