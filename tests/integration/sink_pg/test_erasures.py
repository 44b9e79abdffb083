"""Which changes an erasure finds, and what the seals say of them, on a real database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import psycopg
import pytest

from schemas.erasure import ErasureRecord, Part
from sink_pg.batch import Batch, BatchLimits
from sink_pg.erase import CHANGES_PER_TRANSACTION, Eraser, ErasureRequest
from sink_pg.erasure_selection import Selection, parse_member
from sink_pg.erasure_topic import ErasureTopic
from sink_pg.pg_connection import connect
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings
from sink_pg.verify_seals import verify_seals
from tests.fixtures.postgres import Database
from tests.integration.sink_pg.conftest import Trail
from tests.integration.sink_pg.test_erase import CHANGES, SECRET
from tests.unit.sink_pg.example_changes import change, record

LIMITS = BatchLimits(rows=100_000, bytes=1_000_000_000, age_seconds=1.0)


class Records(ErasureTopic):
    """Keeps the records of erasures: what Kafka does with them is tested by test_erase."""

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self.kept: list[ErasureRecord] = []

    def make(self) -> None:
        """Do nothing."""

    def publish(self, record: ErasureRecord) -> int:
        """Keep the record."""
        self.kept.append(record)
        return len(self.kept) - 1


@dataclass
class Erasing:
    """A connection that erases."""

    connection: psycopg.Connection[Any]
    records: Records
    settings: SinkSettings

    def choose(self, parts: tuple[Part, ...], members: Any, **selection: Any) -> list[int]:
        """Return the commit LSNs of what would be erased."""
        request = ErasureRequest(Selection(**selection), parts, members, "a test")
        tables = Eraser(self.connection, self.records).choose(request)
        rows = self.connection.execute(
            "SELECT commit_lsn FROM changes JOIN bemi_chosen USING (id, committed_at) ORDER BY 1"
        ).fetchall()
        assert sum(each.changes for each in tables) == len(rows)
        return [lsn for (lsn,) in rows]

    def erase(self, parts: tuple[Part, ...] = (Part.VALUES,), **selection: Any) -> int:
        """Erase; return of how many changes."""
        request = ErasureRequest(Selection(**selection), parts, None, "a test")
        eraser = Eraser(self.connection, self.records)
        eraser.choose(request)
        erased = eraser.erase(request, Event())
        assert erased.is_whole
        return erased.changes

    def breaks(self) -> list[str]:
        """Return what verify finds broken."""
        return verify_seals(self.settings, None, Event()).breaks


@pytest.fixture
def settings(database: Database) -> SinkSettings:
    """Return the settings of a sink that seals."""
    return SinkSettings.from_environ({**database.environ, "BEMI_SINK_SEALS": "true"})


@pytest.fixture
def erasing(settings: SinkSettings, writer: PgWriter) -> Iterator[Erasing]:
    """Store the changes in one batch; return who erases them."""
    batch = Batch(LIMITS, {})
    batch.add([record(each, offset=n) for n, each in enumerate(CHANGES)], now=0.0)
    writer.store(batch)
    with connect(settings) as connection:
        yield Erasing(connection, Records(settings), settings)


def column(text: str) -> Any:
    return (parse_member(text, is_path=False),)


def context(text: str) -> Any:
    return (parse_member(text, is_path=True),)


EMAIL = column(f"email={SECRET}")
USER: dict[str, Any] = {"table": "public.user", "primary_key": "7"}
LONG_AGO, THEN = "2025-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
SELECTIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"columns": EMAIL}, [1, 2]),
    ({"columns": column("user_id=7")}, [4]),
    ({"columns": column("user_id=7"), "table": "public.user"}, []),
    ({"columns": column("total=1.50"), "table": "public.*"}, [4]),
    ({"columns": column("total=1.5")}, []),  # A text is what it is.
    ({"columns": column("email=%")}, []),
    ({"columns": (*column("id=7"), *EMAIL)}, [1, 2]),
    ({"columns": (*column("id=8"), *EMAIL)}, []),
    ({"columns": EMAIL, "table": "public.us_r"}, []),
    ({"columns": EMAIL, "from_time": THEN}, []),
    ({"columns": EMAIL, "to_time": THEN}, [1, 2]),
    ({"columns": EMAIL, "from_time": LONG_AGO}, [1, 2]),
    ({"contexts": context("user_id=7")}, [2]),
    ({"contexts": context("user.id=7")}, [4]),
    ({"contexts": context("user_id=42"), "table": "public.order"}, [5]),
    ({"ids": (CHANGES[2]["id"],)}, [3]),
    (USER, [1, 2]),
    ({"table": "public.user", "primary_key": "70"}, []),
]


@pytest.mark.parametrize(("selection", "lsns"), SELECTIONS)
def test_exactly_what_was_said_is_chosen(
    erasing: Erasing, selection: dict[str, Any], lsns: list[int]
) -> None:
    assert erasing.choose((Part.VALUES,), None, **selection) == lsns


@pytest.mark.parametrize(
    ("parts", "members", "lsns"),
    [
        ((Part.VALUES,), ("email",), [1, 2]),
        ((Part.VALUES,), ("phone",), []),
        ((Part.CONTEXT,), None, [1, 2]),
        ((Part.CONTEXT,), ("ip",), [2]),
        ((Part.PRIMARY_KEY,), None, [1, 2]),
    ],
)
def test_changes_that_have_nothing_of_the_parts_are_not_chosen(
    erasing: Erasing, parts: tuple[Part, ...], members: Any, lsns: list[int]
) -> None:
    assert erasing.choose(parts, members, **USER) == lsns


def test_what_is_erased_is_not_chosen_again(erasing: Erasing) -> None:
    assert erasing.erase(**USER) == 2
    assert erasing.erase(**USER) == 0
    assert erasing.erase((Part.VALUES, Part.PRIMARY_KEY), **USER) == 2
    assert len(erasing.records.kept) == 2


def test_many_changes_are_erased_in_several_transactions(
    erasing: Erasing, writer: PgWriter, trail: Trail
) -> None:
    count = CHANGES_PER_TRANSACTION * 2 + 10
    batch = Batch(LIMITS, {})
    many = (change(100 + n, after={"email": SECRET}) for n in range(count))
    batch.add([record(each, partition=1, offset=n) for n, each in enumerate(many)], now=0.0)
    writer.store(batch)
    assert erasing.erase(columns=EMAIL) == count + 2
    assert [len(each.changes) for each in erasing.records.kept] == [2_000, 2_000, 12]
    assert len({each.erasure for each in erasing.records.kept}) == 1
    assert not [lsn for lsn, text in trail.rows("commit_lsn, changes::text") if SECRET in text]
    assert erasing.breaks() == []


BREAKS = [
    ("UPDATE changes SET after = '{}' WHERE commit_lsn = 1", "changed after they had been erased"),
    ("UPDATE changes SET after = '{}' WHERE commit_lsn = 3", "rows of seal 1.*was changed"),
    ("DELETE FROM changes WHERE commit_lsn = 1", "seal 1.*1 of 5 were removed"),
    ("UPDATE bemi_erased_changes SET sealed_hash = erased_hash", "rows of seal 1"),
    ("UPDATE bemi_erasures SET reason = 'other'", "record of what was erased under seal 2"),
    ("UPDATE bemi_erased_changes SET stored_at = now()", "rows of seal 1"),
    ("DELETE FROM bemi_erased_changes", "rows of seal 1"),
    ("DELETE FROM bemi_seals WHERE number = 3", "^seal 3 was removed"),
]


@pytest.mark.parametrize(("statement", "words"), BREAKS)
def test_seals_stay_provable_and_show_what_was_done_besides(
    erasing: Erasing, trail: Trail, statement: str, words: str
) -> None:
    assert erasing.erase(columns=EMAIL) == 2
    assert erasing.erase((Part.CONTEXT,), contexts=context("user_id=7")) == 1
    assert erasing.erase((Part.PRIMARY_KEY,), ids=(CHANGES[1]["id"],)) == 1
    verified = verify_seals(erasing.settings, None, Event())
    assert (verified.seals, verified.rows, verified.breaks) == (4, len(CHANGES), [])
    assert (verified.erased, verified.erasures) == (2, 3)
    trail.connection.execute(statement)
    breaks = erasing.breaks()
    assert any(re.search(words, each) for each in breaks), breaks


def test_without_seals_no_hash_of_what_was_erased_is_kept(
    writer: PgWriter, database: Database, trail: Trail
) -> None:
    settings = SinkSettings.from_environ(database.environ)
    unsealing = PgWriter(settings, "bemi.changes")
    batch = Batch(LIMITS, {})
    batch.add([record(CHANGES[0], offset=0)], now=0.0)
    unsealing.store(batch)
    unsealing.close()
    with connect(settings) as connection:
        assert Erasing(connection, Records(settings), settings).erase(columns=EMAIL) == 1
    rows = trail.connection.execute("SELECT sealed_hash, erased_hash FROM bemi_erased_changes")
    assert rows.fetchall() == [(None, None)]
