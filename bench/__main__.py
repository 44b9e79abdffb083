"""The command line of the benches."""

from __future__ import annotations

import click

from bench.django_cost import OPERATIONS, bench_django
from bench.latency import bench_producer_latency
from bench.pipeline import bench_pipeline
from bench.producer import bench_producer
from bench.profile import bench_profile
from bench.sink import INDEXES, bench_sink
from bench.sink_curve import bench_sink_curve
from bench.snapshot import bench_snapshot
from bench.stitcher import bench_stitcher
from bench.workload import WORKLOADS


@click.group()
def main() -> None:
    """Measure the pipeline; the last line printed is the result as JSON."""


@main.command()
@click.option("--rows", default=200_000, show_default=True, help="Changes in a backlog.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each.")
@click.option(
    "--transaction-rows",
    default=300_000,
    show_default=True,
    help="Changes of the workload one-transaction; a million takes Debezium over a minute a turn.",
)
@click.option(
    "--workload",
    "workloads",
    type=click.Choice(list(WORKLOADS)),
    multiple=True,
    help="How changes are divided into transactions; may be given again. All when left out.",
)
def producer(rows: int, rounds: int, transaction_rows: int, workloads: tuple[str, ...]) -> None:
    """Drain backlogs of WAL, against Debezium with defaults and tuned."""
    chosen = [WORKLOADS[name] for name in workloads or WORKLOADS]
    bench_producer(rows, rounds, transaction_rows, chosen)


@main.command()
@click.option(
    "--of",
    type=click.Choice(["producer"]),
    default="producer",
    show_default=True,
    help="What is measured: producer, from the commit to a consumer of its topic.",
)
@click.option("--rate", default=500, show_default=True, help="Transactions a second.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each.")
@click.option("--seconds", default=20, show_default=True, help="Length of a turn once warm.")
def latency(of: str, rate: int, rounds: int, seconds: int) -> None:
    """From a commit to the record, against Debezium with defaults and tuned."""
    bench_producer_latency(rate, rounds, seconds)


@main.command()
@click.option("--rows", default=200_000, show_default=True, help="Changes written at once.")
@click.option("--rounds", default=2, show_default=True, help="Turns of each.")
@click.option("--seconds", default=20, show_default=True, help="Length of the latency part.")
def pipeline(rows: int, rounds: int, seconds: int) -> None:
    """From commit to the table `changes`: rows per second, and latency at 500 rows/s."""
    bench_pipeline(rows, rounds, seconds)


@main.command()
@click.option("--rows", default=500_000, show_default=True, help="Rows of the table.")
@click.option("--rounds", default=2, show_default=True, help="Turns of each.")
def snapshot(rows: int, rounds: int) -> None:
    """Publish the rows that are there, against Debezium with defaults and tuned."""
    bench_snapshot(rows, rounds)


@main.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Changes in `.wal`.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each.")
def stitcher(rows: int, rounds: int) -> None:
    """Stitch a prepared `.wal`, against a plain loop around the same functions."""
    bench_stitcher(rows, rounds)


@main.command()
@click.option(
    "--rows",
    type=int,
    help="Changes in the topic; with --curve, in the table in the end. 200,000 and 3,000,000.",
)
@click.option("--rounds", default=3, show_default=True, help="Turns of each.")
@click.option(
    "--indexes",
    type=click.Choice(list(INDEXES)),
    default="default",
    show_default=True,
    help="What `changes` has: no index, the sink's own, or those and three GIN.",
)
@click.option("--curve", is_flag=True, help="Draw the cost of a change as the table grows.")
def sink(rows: int | None, rounds: int, indexes: str, curve: bool) -> None:
    """From the topic into `changes`, against COPY of the same lines."""
    if curve:
        bench_sink_curve(rows or 3_000_000)
    else:
        bench_sink(rows or 200_000, rounds, indexes)


@main.command()
@click.option("--rows", default=100_000, show_default=True, help="Rows that update() changes.")
@click.option("--rounds", default=9, show_default=True, help="Turns of each.")
@click.option("--repeats", default=200, show_default=True, help="Single operations in a turn.")
@click.option(
    "--operation",
    "operations",
    type=click.Choice(OPERATIONS),
    multiple=True,
    default=OPERATIONS,
    help="Only this one; may be given again.",
)
@click.option("--durable", is_flag=True, help="Let commits wait for the disk.")
def django(
    rows: int, rounds: int, repeats: int, operations: tuple[str, ...], durable: bool
) -> None:
    """Time and WAL of a Django site's changes, against plain Django and five audit packages."""
    bench_django(rows, rounds, repeats, operations, is_durable=durable)


@main.command()
@click.option("--rows", default=20_000, show_default=True, help="Changes recorded.")
@click.option("--rounds", default=7, show_default=True, help="Replays of each.")
def profile(rows: int, rounds: int) -> None:
    """CPU of decoding and making events, by replaying recorded messages."""
    bench_profile(rows, rounds)


if __name__ == "__main__":
    main()
