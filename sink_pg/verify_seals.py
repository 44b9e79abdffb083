"""Check the chain of seals and the rows under each. Edge: SQL.

The hashes are made anew by the expressions that made them, a page of seals at a time. What
retention has removed is in the chain itself; seals older than that are checked as links only.
What was erased is in it as well: the hash that a row had stands for it in its seal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import psycopg

from runtime.progress_bar import ProgressBar
from sink_pg.errors import CannotCompare
from sink_pg.pg_connection import Connection, connect, stage_error
from sink_pg.seal_chain import Seal, SealChain, broken_rows
from sink_pg.seals import row_hash, seal_hash
from sink_pg.settings import SinkSettings
from sink_pg.statements import statement

SEALS_PER_PAGE = 200
MOST_BREAKS = 100


@dataclass(slots=True)
class SealsVerified:
    """What was checked, and each break, the first one first."""

    seals: int = 0
    rows: int = 0
    removed: int = 0
    """Seals of which retention has removed rows; their links are checked."""
    erased: int = 0
    """Rows of which values were erased, with a record of it; seals are checked without them."""
    erasures: int = 0
    last_hash: str = ""
    breaks: list[str] = field(default_factory=list)


def verify_seals(settings: SinkSettings, expect: str | None, stopping: Event) -> SealsVerified:
    """Check all seals; `expect` is a seal's hash that was noted elsewhere.

    Raises CannotCompare where nothing is sealed.
    """
    connection = connect(settings)
    try:
        return _verify(connection, expect, stopping)
    except psycopg.errors.UndefinedTable as error:
        raise CannotCompare(
            "the destination lacks a table of the sink's; run `bemi-sink migrate`"
        ) from error
    except psycopg.Error as error:
        raise stage_error(error) from error
    finally:
        connection.close()


def _verify(connection: Connection, expect: str | None, stopping: Event) -> SealsVerified:
    verified = SealsVerified()
    chain = SealChain()
    row_breaks: list[tuple[Seal, str]] = []
    is_expected_found = expect is None
    with ProgressBar("verify", _count(connection), "seals") as progress:
        for page in _pages(connection):
            if stopping.is_set():
                raise CannotCompare("stopped before the end")
            for seal in page:
                verified.breaks += chain.take(seal)
                is_expected_found |= seal.hash.hex() == expect
            row_breaks += _row_breaks(connection, page)
            verified.seals += len(page)
            verified.rows += sum(seal.row_count for seal in page if not seal.is_of_erasure)
            progress.move_to(verified.seals)
    if not verified.seals:
        raise CannotCompare("nothing is sealed: bemi_seals is empty; set BEMI_SINK_SEALS=true")
    # Read last: what was removed while the rows were looked at is told as well.
    rows: Iterable[Any] = connection.execute(
        statement("removed_by_retention"), {"numbers": [seal.number for seal, _ in row_breaks]}
    )
    removed = {number for (number,) in rows}
    verified.removed = len(removed)
    verified.breaks += [reason for seal, reason in row_breaks if seal.number not in removed]
    unsealed, since, example = _one(connection, "unsealed_rows")
    if unsealed:
        verified.breaks.append(
            f"{unsealed} rows stored since {since} have no seal, such as id {example}: added by"
            " another, or their seals were removed"
        )
    verified.erased, verified.erasures = _one(connection, "count_erased")
    changed, example = connection.execute(  # type: ignore[misc]
        statement("changed_since_erased").format(row_hash=row_hash())
    ).fetchone()
    if changed:
        verified.breaks.append(
            f"{changed} rows were changed after they had been erased, such as id {example}"
        )
    if not is_expected_found:
        verified.breaks.append(f"no seal has the hash {expect}: the chain was made anew or cut")
    verified.last_hash = chain.hash.hex()
    return verified


def _pages(connection: Connection) -> Iterator[list[Seal]]:
    number = 0
    query = statement("seals_after").format(seal_hash=seal_hash())
    while True:
        rows: Iterable[Any] = connection.execute(query, {"number": number, "limit": SEALS_PER_PAGE})
        page = [Seal(*row) for row in rows]
        if not page:
            return
        yield page
        number = page[-1].number


def _row_breaks(connection: Connection, page: list[Seal]) -> list[tuple[Seal, str]]:
    sealing = [seal for seal in page if seal.row_count]
    if not sealing:
        return []
    page_of = {"first": sealing[0].number, "last": sealing[-1].number}
    rows: Iterable[Any] = [
        *connection.execute(statement("rows_of_seals").format(row_hash=row_hash()), page_of),
        *connection.execute(
            statement("entries_of_seals").format(entry_hash=statement("entry_hash")), page_of
        ),
    ]
    found = {number: (row_count, rows_hash) for number, row_count, rows_hash in rows}
    checked = ((seal, broken_rows(seal, *found.get(seal.number, (0, b"")))) for seal in sealing)
    return [(seal, reason) for seal, reason in checked if reason is not None]


def _count(connection: Connection) -> int:
    return int(_one(connection, "count_seals")[0])


def _one(connection: Connection, name: str) -> Any:
    return connection.execute(statement(name)).fetchone()
