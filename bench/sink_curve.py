"""`python -m bench sink --curve`: what storing a change costs as the table grows, as a plot.

Batches go through the sink's own writer; making the records is not counted. The changes are of
one year, so the table gets its twelve partitions, and each row of the application is changed
again and again. The ratio is the cost of the last tenth to that of the second: flat is 1.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

from bench.measure import print_progress, print_result
from bench.servers import DATABASE, postgres_environ, running_postgres
from bench.sink import ROWS_PER_TRANSACTION, values
from sink_pg.batch import Batch, BatchLimits
from sink_pg.change_rows import Record
from sink_pg.partitions import make
from sink_pg.periods import Period
from sink_pg.pg_connection import connect
from sink_pg.pg_writer import PgWriter
from sink_pg.settings import SinkSettings

PLOT = Path(__file__).parents[1] / "docs" / "sink-curve.svg"
TOPIC = "curve.changes"
YEAR = datetime(2025, 1, 1, tzinfo=timezone.utc)
POINTS = 100


def bench_sink_curve(rows: int) -> None:
    """Grow the table, draw the plot, print the result."""
    with running_postgres() as (_, postgres):
        settings = SinkSettings.from_environ(postgres_environ(postgres))
        writer = PgWriter(settings, TOPIC)
        writer.migrate()
        with connect(settings) as connection:
            months = [YEAR.replace(month=month) for month in range(1, 13)]
            make(connection, Period.MONTH, months)
        points = _grow(writer, rows, settings.batch_rows)
        writer.close()
    _draw(points)
    tenth = max(1, len(points) // 10)
    late = [us for _, us in points[-tenth:]]
    early = [us for _, us in points[tenth : 2 * tenth]]
    print_result(
        "sink_curve",
        [median(late)],
        [median(early)],
        "us/row",
        rows=rows,
        database=DATABASE,
    )


def _grow(writer: PgWriter, rows: int, batch_rows: int) -> list[tuple[int, float]]:
    """Return, for each stretch, the rows stored by its end and the microseconds a row of it."""
    limits = BatchLimits(batch_rows, 10**9, 0.0)
    step = timedelta(days=365) / (rows / ROWS_PER_TRANSACTION)
    batch = Batch(limits, {})
    stretch = max(batch_rows, rows // POINTS)
    points = []
    taken, since = 0.0, 0
    for first in range(0, rows, batch_rows):
        count = min(batch_rows, rows - first)
        records = [
            Record(TOPIC, 0, offset, b"key", value)
            for offset, value in enumerate(values(first, count, YEAR, step), first)
        ]
        started_at = time.monotonic()
        batch.add(records, 0.0)
        writer.store(batch)
        batch = batch.next_batch()
        taken += time.monotonic() - started_at
        since += count
        if since >= stretch:
            points.append((first + count, taken / since * 1e6))
            print_progress(f"{points[-1][0]} rows: {points[-1][1]:.1f} us/row")
            taken, since = 0.0, 0
    return points


def _draw(points: list[tuple[int, float]]) -> None:
    # Of the extra `dev`, and half a second to import: only here.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([rows / 1e6 for rows, _ in points], [us for _, us in points], linewidth=1)
    axes.set_xlabel("million changes stored")
    axes.set_ylabel("microseconds a change")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title("Storing a change as the table grows")
    figure.savefig(PLOT, metadata={"Date": None})
