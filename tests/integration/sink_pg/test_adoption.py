"""A table of Bemi's own worker becomes a partition: every row stays, none is rewritten."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from sink_pg.batch import Batch, BatchLimits
from sink_pg.errors import ForeignChangesTable, NotAdoptable
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from tests.fixtures.postgres import Database
from tests.fixtures.stages import StartStage
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import TOPIC, change, record

# The table as the migrations of Bemi's worker leave it.
BEMI = """
CREATE TABLE changes (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL,
    primary_key varchar(255),
    after jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    database varchar(255) NOT NULL,
    schema varchar(255) NOT NULL,
    "table" varchar(255) NOT NULL,
    operation text NOT NULL
        CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE', 'TRUNCATE', 'MESSAGE')),
    committed_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    transaction_id bigint NOT NULL,
    position bigint NOT NULL,
    before jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT changes_pkey PRIMARY KEY (id),
    CONSTRAINT changes_position_table_schema_database_operation_unique
        UNIQUE (position, "table", schema, database, operation)
);
CREATE INDEX changes_committed_at_index ON changes (committed_at);
CREATE INDEX changes_primary_key_index ON changes (primary_key);
CREATE INDEX changes_table_index ON changes ("table");
CREATE INDEX changes_operation_index ON changes (operation);
CREATE INDEX changes_before_index ON changes USING gin (before jsonb_path_ops);
CREATE INDEX changes_after_index ON changes USING gin (after jsonb_path_ops);
CREATE INDEX changes_context_index ON changes USING gin (context jsonb_path_ops);
"""
ROWS = """
INSERT INTO changes (created_at, primary_key, after, context, database, schema, "table",
    operation, committed_at, queued_at, transaction_id, position)
SELECT now(), CASE WHEN n % 7 > 0 THEN n::text END, jsonb_build_object('id', n), '{"user": 1}',
    'app', 'public', 'todo', 'CREATE', timestamptz '2025-06-01Z' + n * interval '1 hour', now(),
    n, n
FROM generate_series(1, 500) AS n
"""
BEMIS_COLUMNS = """id, database, schema, "table", primary_key, operation, before, after, context,
    committed_at, queued_at, created_at, transaction_id, position"""
LIMITS = BatchLimits(100, 10**7, 0.0)


def everything(trail: Trail) -> list[Any]:
    return trail.connection.execute(
        f"SELECT {BEMIS_COLUMNS} FROM changes ORDER BY position, id"
    ).fetchall()


def file_of(trail: Trail, table: str) -> Any:
    return trail.connection.execute("SELECT pg_relation_filenode(%s)", [table]).fetchone()


@pytest.fixture
def bemis(settings: SinkSettings, trail: Trail) -> Iterator[PgWriter]:
    """Make Bemi's table with rows and return a writer that has not looked at it."""
    trail.connection.execute(BEMI)
    trail.connection.execute(ROWS)
    writer = PgWriter(settings, TOPIC)
    yield writer
    writer.close()


def test_plain_start_names_the_way_and_changes_nothing(bemis: PgWriter, trail: Trail) -> None:
    with pytest.raises(ForeignChangesTable, match="bemi-sink migrate --adopt"):
        bemis.migrate()
    assert len(everything(trail)) == 500


def test_every_row_stays_and_none_is_rewritten(bemis: PgWriter, trail: Trail) -> None:
    before = everything(trail)
    file = file_of(trail, "changes")
    gin = file_of(trail, "changes_after_index")
    bemis.migrate(is_adopting=True)
    assert everything(trail) == before
    assert file_of(trail, "bemi_changes_adopted") == file
    assert file_of(trail, "changes_after_index") == gin
    assert bemis.migrate(is_adopting=True) == []
    assert bemis.migrate() == []


def test_new_changes_are_stored_beside_and_into_the_adopted_rows(
    bemis: PgWriter, trail: Trail
) -> None:
    bemis.migrate(is_adopting=True)
    batch = Batch(LIMITS, {})
    # Rows of one statement share their position; a key may be longer than a btree's entry.
    long_key = "".join(chr(33 + n % 90) for n in range(6_000))
    early = "2025-06-02T00:00:00Z"
    values = [
        change(1, 0, committed_at=early, position=7, primary_key=long_key),
        change(1, 1, committed_at=early, position=7, primary_key="p" * 300),
        change(2, 0),
    ]
    batch.add([record(value, offset=n) for n, value in enumerate(values)], now=0.0)
    assert bemis.store(batch).rows == 3
    assert trail.connection.execute(
        "SELECT tableoid::regclass::text, count(*) FROM changes GROUP BY 1 ORDER BY 1"
    ).fetchall() == [("bemi_changes_adopted", 502), ("bemi_changes_default", 1)]
    again = Batch(LIMITS, {})
    again.add([record(value, offset=3 + n) for n, value in enumerate(values)], now=0.0)
    trail.connection.execute("DELETE FROM bemi_sink_progress")
    assert bemis.store(again).rows == 0


def test_partitions_begin_behind_the_adopted_rows(
    bemis: PgWriter, trail: Trail, start_stage: StartStage, database: Database
) -> None:
    now = datetime.now(timezone.utc)
    trail.connection.execute("UPDATE changes SET committed_at = %s WHERE position = 1", [now])
    adopt = [sys.executable, "-m", "sink_pg", "migrate", "--adopt"]
    assert start_stage("adopt", adopt, database.environ).wait(30.0) == 0
    partitions = start_stage("partitions", [*adopt[:3], "partitions"], database.environ)
    assert partitions.wait(30.0) == 0
    assert f"bemi_changes_y{now:%Ym%m}_from_{now:%d}" in partitions.output()
    assert len(everything(trail)) == 500


def test_roles_that_could_read_the_table_still_can(
    bemis: PgWriter, trail: Trail, database: Database
) -> None:
    role = f"{database.name} reader"
    trail.connection.execute(f'CREATE ROLE "{role}"')
    try:
        trail.connection.execute(f'GRANT SELECT, INSERT ON changes TO "{role}"')
        trail.connection.execute("GRANT SELECT ON changes TO PUBLIC")
        bemis.migrate(is_adopting=True)
        allowed = trail.connection.execute(
            "SELECT has_table_privilege(%(role)s, 'changes', 'INSERT'),"
            " has_table_privilege(%(role)s, 'changes', 'DELETE'),"
            " has_table_privilege('public', 'changes', 'SELECT')",
            {"role": role},
        ).fetchone()
        assert allowed == (True, False, True)
    finally:
        trail.connection.execute(f'DROP OWNED BY "{role}"')
        trail.connection.execute(f'DROP ROLE "{role}"')


def test_table_of_an_older_precision_is_adopted_without_rewriting(
    bemis: PgWriter, trail: Trail
) -> None:
    for column in ("committed_at", "queued_at", "created_at"):
        trail.connection.execute(f"ALTER TABLE changes ALTER {column} TYPE timestamptz(0)")
    before, file = everything(trail), file_of(trail, "changes")
    bemis.migrate(is_adopting=True)
    assert everything(trail) == before
    assert file_of(trail, "bemi_changes_adopted") == file


def test_empty_table_is_adopted(bemis: PgWriter, trail: Trail) -> None:
    trail.connection.execute("TRUNCATE changes")
    bemis.migrate(is_adopting=True)
    assert everything(trail) == []


def test_adoption_without_a_table_makes_one(settings: SinkSettings, trail: Trail) -> None:
    writer = PgWriter(settings, TOPIC)
    assert writer.migrate(is_adopting=True)
    writer.close()
    assert everything(trail) == []


@pytest.mark.parametrize(
    ("obstacle", "named"),
    [
        ("ALTER TABLE changes ADD COLUMN note text", "columns that Bemi's has not: note"),
        ("ALTER TABLE changes DROP COLUMN before", "it lacks before"),
        ("ALTER TABLE changes ALTER transaction_id TYPE int", "TYPE bigint"),
        ("CREATE VIEW recent AS SELECT * FROM changes", "recent"),
        ("ALTER TABLE changes ENABLE ROW LEVEL SECURITY", "row security"),
        ("ALTER TABLE changes ALTER context DROP NOT NULL; UPDATE changes SET context = NULL"
         " WHERE position = 3", 'column "context"'),
        ("UPDATE changes SET committed_at = 'infinity' WHERE position = 3", "correct or remove"),
        ("ALTER TABLE changes RENAME TO old; CREATE VIEW changes AS SELECT 1 AS id",
         "no ordinary table"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_named_and_nothing_is_changed(
    bemis: PgWriter, trail: Trail, obstacle: str, named: str
) -> None:
    trail.connection.execute(obstacle)
    with pytest.raises(NotAdoptable, match=named):
        bemis.migrate(is_adopting=True)
    with pytest.raises(ForeignChangesTable):
        bemis.migrate()


def test_index_of_an_attempt_that_was_cut_short_is_built_again(
    bemis: PgWriter, trail: Trail
) -> None:
    trail.connection.execute(
        "CREATE UNIQUE INDEX bemi_changes_adopted_pkey ON changes (id, committed_at)"
    )
    trail.connection.execute(
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'bemi_changes_adopted_pkey'::regclass"
    )
    bemis.migrate(is_adopting=True)
    assert len(everything(trail)) == 500
