"""The command line of the benches."""

from __future__ import annotations

import click

from bench.pipeline import bench_pipeline
from bench.producer import bench_producer


@click.group()
def main() -> None:
    """Measure the pipeline; the last line printed is the result as JSON."""


@main.command()
@click.option("--rows", default=200_000, show_default=True, help="Changes in the backlog.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each.")
def producer(rows: int, rounds: int) -> None:
    """Drain a backlog of WAL, against Debezium with defaults and tuned."""
    bench_producer(rows, rounds)


@main.command()
@click.option("--rows", default=200_000, show_default=True, help="Changes written at once.")
@click.option("--rounds", default=2, show_default=True, help="Turns of each.")
@click.option("--seconds", default=20, show_default=True, help="Length of the latency part.")
def pipeline(rows: int, rounds: int, seconds: int) -> None:
    """From commit to the table `changes`: rows per second, and latency at 200 rows/s."""
    bench_pipeline(rows, rounds, seconds)


if __name__ == "__main__":
    main()
