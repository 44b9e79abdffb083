"""Let faults happen under load, and compare what is stored with what was committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from tests.fixtures.load import Expected, Writer
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.waiting import eventually

WRITERS = 2
TRANSACTIONS_BETWEEN_FAULTS = 30
STORED_SECONDS = 120.0


def run_under_load(pipeline: Pipeline, faults: Iterable[Callable[[], None]]) -> None:
    """Let each fault happen while the writers write, and compare what is stored in the end."""
    with writing(pipeline) as writers:
        for fault in faults:
            wait_for_transactions(writers)
            fault()
        wait_for_transactions(writers)


@contextmanager
def writing(pipeline: Pipeline) -> Iterator[Sequence[Writer]]:
    """Write meanwhile; afterwards each change must be stored once, with its context."""
    writers = [Writer(pipeline.database.dsn, number) for number in range(1, WRITERS + 1)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stop()
    for name, stage in pipeline.stages.items():
        assert stage.is_running, f"the {name} has ended"
    count = sum(len(writer.expected) for writer in writers)
    changes = pipeline.wait_for("item", count, STORED_SECONDS)
    for writer in writers:
        own = [change for change in changes if change["context"].get("writer") == writer.number]
        assert [as_expected(change) for change in own] == writer.expected
    assert replayed(changes) == table_rows(pipeline)
    committed = sum(writer.transactions for writer in writers)
    pipeline.wait_for("committed", committed, STORED_SECONDS)


def wait_for_transactions(
    writers: Sequence[Writer], count: int = TRANSACTIONS_BETWEEN_FAULTS
) -> None:
    """Let each writer write some more."""
    targets = [writer.transactions + count for writer in writers]
    eventually(lambda: all(w.transactions >= t for w, t in zip(writers, targets, strict=True)), 120)


def wait_until_stored(pipeline: Pipeline, writers: Sequence[Writer]) -> None:
    """Wait until every transaction committed by now is stored, in all partitions."""
    # The last of each may not be committed yet.
    committed = {
        (writer.number, number) for writer in writers for number in range(1, writer.transactions)
    }

    def check() -> None:
        rows = [change["after"] for change in pipeline.changes("committed")]
        missing = committed - {(row["writer"], row["number"]) for row in rows}
        assert not missing, f"{len(missing)} of {len(committed)} transactions are not stored"

    eventually(check, STORED_SECONDS)


def as_expected(change: dict[str, Any]) -> Expected:
    """Return the stored change as the writer noted it."""
    return Expected(
        change["operation"],
        change["primary_key"],
        change["before"],
        change["after"],
        change["context"],
    )


def replayed(changes: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the rows that the changes make, one after the other."""
    rows: dict[int, dict[str, Any]] = {}
    for change in changes:
        if change["operation"] == "DELETE":
            del rows[int(change["primary_key"])]
        else:
            rows[int(change["primary_key"])] = change["after"]
    return rows


def table_rows(pipeline: Pipeline) -> dict[int, dict[str, Any]]:
    """Return the rows of the source's table."""
    with closing(pipeline.database.connect()) as connection:
        found = connection.execute("SELECT id, to_jsonb(item) FROM item").fetchall()
    return dict(found)  # type: ignore[arg-type]
