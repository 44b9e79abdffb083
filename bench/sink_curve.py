"""`python -m bench sink --curve`: what storing a change costs as the table grows, as a plot.

At each measuring point batches go through the sink's own writer; making the records is not counted,
and the median batch is the point. Between the points the server itself fills the table with rows of
the same kind, which takes a third of the time. The changes are of one year, so the table gets its
twelve partitions, and each row of the application is changed again and again. The ratio is the cost
at the last points to that at the first ones: flat is 1.
"""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import print_progress, print_result
from bench.servers import DATABASE, postgres_environ, running_postgres
from bench.sink import EPOCH, ROWS_PER_TRANSACTION, values
from sink_pg.batch import Batch, BatchLimits
from sink_pg.change_rows import Record
from sink_pg.partitions import make
from sink_pg.periods import Period
from sink_pg.pg_connection import Connection, connect
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings

PLOT = Path(__file__).parents[1] / "docs" / "sink-curve.svg"
FILL = Path(__file__).with_suffix(".sql").read_text()
TOPIC = "curve.changes"
YEAR = datetime(2025, 1, 1, tzinfo=timezone.utc)
POINTS = 25
BATCHES_A_POINT = 8
BYTES_A_ROW = 1_200
"""What a row takes on the disk with its indexes, at most."""
WAL_BYTES = 9_000_000_000
ROWS_A_FILL = 100_000


def bench_sink_curve(rows: int) -> None:
    """Grow the table, draw the plot, print the result."""
    with running_postgres() as (folder, postgres):
        free, wanted = shutil.disk_usage(folder).free, rows * BYTES_A_ROW + WAL_BYTES
        if free < wanted:
            raise SystemExit(
                f"{rows} rows take up to {wanted / 1e9:.0f} GB in {folder}, which has"
                f" {free / 1e9:.0f} GB left; give fewer --rows or another TMPDIR"
            )
        settings = SinkSettings.from_environ(postgres_environ(postgres))
        writer = PgWriter(settings, TOPIC)
        writer.migrate()
        with connect(settings) as connection:
            make(connection, Period.MONTH, [YEAR.replace(month=month) for month in range(1, 13)])
            curve = _Curve(writer, connection, rows, settings.batch_rows)
            points = curve.grow()
            size = curve.table_bytes()
        writer.close()
    _draw(points)
    part = max(1, len(points) // 8)
    print_result(
        "sink_curve",
        [median(us for _, us in points[-part:])],
        # The first point is of an empty table, whose pages are all in memory.
        [median(us for _, us in points[1 : part + 1])],
        "us/row",
        rows=rows,
        database=DATABASE,
        bytes_a_row=round(size / rows),
    )


class _Curve:
    """A table that grows, and what its last batches cost."""

    def __init__(self, writer: PgWriter, connection: Connection, rows: int, batch_rows: int):
        self._writer = writer
        self._connection = connection
        self._rows = rows
        self._batch_rows = batch_rows
        self._step = timedelta(days=364) / (rows / ROWS_PER_TRANSACTION)
        self._batch = Batch(BatchLimits(batch_rows, 10**9, 0.0), {})

    def grow(self) -> list[tuple[int, float]]:
        """Return, for each point, the rows stored and the microseconds a row."""
        measured = self._batch_rows * BATCHES_A_POINT
        points: list[tuple[int, float]] = []
        first = 0
        for number in range(1, POINTS + 1):
            stop = max(self._rows * number // POINTS - measured, first)
            self._fill(first, stop)
            # What the filling left in memory is written by it, not by the sink.
            self._connection.execute("CHECKPOINT")
            first = stop + measured
            points.append((first, self._measure(stop)))
            print_progress(
                f"{first} rows: {points[-1][1]:.1f} us/row, {self.table_bytes() / 1e9:.1f} GB"
            )
        return points

    def _measure(self, first: int) -> float:
        """Store batches by the sink's writer; return the median one's microseconds a row."""
        costs = []
        for start in range(first, first + self._batch_rows * BATCHES_A_POINT, self._batch_rows):
            records = [
                Record(TOPIC, 0, offset, b"key", value)
                for offset, value in enumerate(
                    values(start, self._batch_rows, YEAR, self._step), start
                )
            ]
            started_at = time.monotonic()
            self._batch.add(records, 0.0)
            self._writer.store(self._batch)
            costs.append((time.monotonic() - started_at) / len(records) * 1e6)
            self._batch = self._batch.next_batch()
        return median(costs)

    def _fill(self, first: int, stop: int) -> None:
        for start in range(first, stop, ROWS_A_FILL):
            parameters = {
                "first": start,
                "last": min(start + ROWS_A_FILL, stop) - 1,
                "start": YEAR,
                "step": self._step,
                "epoch": str(EPOCH),
            }
            self._connection.execute(FILL, parameters)

    def table_bytes(self) -> int:
        """Return what the table takes, all partitions and indexes."""
        row: Any = self._connection.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'public.changes'::regclass"
        ).fetchone()
        return int(row[0])


def _draw(points: list[tuple[int, float]]) -> None:
    # Of the extra `dev`, and half a second to import: only here.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [rows / 1e6 for rows, _ in points], [us for _, us in points], linewidth=1, marker="o", ms=3
    )
    axes.set_xlabel("million changes stored")
    axes.set_ylabel("microseconds a change")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title("Storing a change as the table grows")
    figure.savefig(PLOT, metadata={"Date": None})
