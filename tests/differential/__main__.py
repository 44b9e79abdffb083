"""Compare by hand: `python -m tests.differential`.

Starts PostgreSQL, Kafka and one Connect worker of its own, runs what is asked for on both
sides, prints the differences that no rule explains and ends with 1 if there are any.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from deploy.local.debezium import LocalDebezium
from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from tests.differential import honest, kept
from tests.differential.column_kinds import ALL_KINDS
from tests.differential.configurations import (
    EVENT_FORMS,
    HONEST,
    SNAPSHOTS,
    VALUE_MODES,
    Configuration,
    configuration,
    random_configuration,
)
from tests.differential.event_script import event_steps
from tests.differential.generator import Generator
from tests.differential.report import report
from tests.differential.rules import Rule, explained, unexplained
from tests.differential.script import Step, in_rounds, kind_steps, tables_of_kinds
from tests.differential.sides import Outcome, SideBySide, install, side_by_side
from tests.fixtures.postgres import FAST_SETTINGS, Database, new_database


@click.command()
@click.option("--sql", "statements", multiple=True, help="Run this SQL; may be repeated.")
@click.option("--cases", is_flag=True, help="Run the hand-picked values of each type.")
@click.option("--events", is_flag=True, help="Run the hand-picked changes of keys, rows, tables.")
@click.option("--only", multiple=True, help="With --cases: kinds whose name holds this.")
@click.option("--seed", type=int, help="Run random SQL made from this number.")
@click.option("--seconds", type=float, default=30.0, help="With --seed: for how long.")
@click.option("--statements", "count", type=int, help="With --seed: how many, whatever the time.")
@click.option("--random", "random_count", default=0, help="With --seed: random configurations.")
@click.option("--named", multiple=True, help="Named configurations; the default is `defaults`.")
@click.option("--config", "more", multiple=True, metavar="K=V", help="Properties on top of them.")
@click.option("--all", "shows_all", is_flag=True, help="Show also what a rule explains.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep logs and data here.")
@click.option("--producer", default="bemi-producer", help="The producer's command.")
def main(
    statements: Sequence[str],
    cases: bool,
    events: bool,
    only: Sequence[str],
    seed: int | None,
    seconds: float,
    count: int | None,
    random_count: int,
    named: Sequence[str],
    more: Sequence[str],
    shows_all: bool,
    folder: Path | None,
    producer: str,
) -> None:
    """Run SQL before Debezium and the producer, and print where they differ."""
    names = named or (() if random_count else ("defaults",))
    configurations = [_chosen(name, more) for name in names]
    for number in range(random_count):
        configurations.append(
            random_configuration(random.Random(f"{seed} {number}"), f"random {number}")
        )
    steps: Iterable[Step] = [Step(s, _is_schema_change(s)) for s in statements]
    with _servers(folder) as (database, bootstrap_servers, worker, scratch):
        available = install(database)
        if cases:
            kinds = [k for k in ALL_KINDS if not k.extension or k.extension in available]
            kinds = [k for k in kinds if not only or any(part in k.name for part in only)]
            steps = in_rounds([kind_steps(*table) for table in tables_of_kinds(kinds)])
        if events:
            steps = event_steps()
        first: Iterable[Step] = ()
        if seed is not None:
            generator = Generator(seed)
            first, steps = generator.first_steps(), islice(generator.steps(), count)
        with side_by_side(
            database,
            bootstrap_servers,
            worker,
            scratch,
            configurations,
            producer=producer.split(),
        ) as sides:
            sides.prepare(first)
            outcomes = _run(sides, steps, None if seed is None or count is not None else seconds)
    text = report(outcomes if shows_all else map(_without_explained, outcomes))
    click.echo(text or "no difference")
    sys.exit(bool(text))


def _run(sides: SideBySide, steps: Iterable[Step], seconds: float | None) -> Sequence[Outcome]:
    """Run the steps on both sides, say how much that was and return what came of it."""
    began = time.monotonic()
    sides.start()
    started = time.monotonic()
    count = sides.run(steps, None if seconds is None else started + seconds)
    outcomes = list(sides.finish())
    click.echo(
        f"{count} statements, {len(outcomes)} configurations: {started - began:.1f} s to "
        f"start, {time.monotonic() - started:.1f} s to run; records compared: "
        + ", ".join(f"{o.configuration.name} {o.records}" for o in outcomes)
    )
    for statement, reason in sides.errors:
        click.echo(f"refused: {statement[:200]}: {reason.splitlines()[0]}")
    return outcomes


def _without_explained(outcome: Outcome) -> Outcome:
    """Count what the rules explain, and leave the rest to be shown."""
    rules = _rules(outcome.configuration)
    for name, count in Counter(explained(outcome.differences, rules)).items():
        click.echo(f"explained: {outcome.configuration.name}: {count} times: {name}")
    return replace(outcome, differences=unexplained(outcome.differences, rules))


def _rules(configuration: Configuration) -> Sequence[Rule]:
    asks_for_debeziums = configuration.properties["bemi.debezium.values"] == "true"
    return kept.RULES if asks_for_debeziums else (*honest.RULES, *kept.RULES)


def _chosen(name: str, more: Sequence[str]) -> Configuration:
    known = {c.name: c for c in (*VALUE_MODES, *SNAPSHOTS, *EVENT_FORMS, HONEST)}
    found = known.get(name)
    if found is None:
        names = ", ".join(known)
        raise click.BadParameter(f"no configuration {name}; there are {names}")
    properties = dict(pair.split("=", 1) for pair in more)
    return configuration(found.name, found.properties, properties)


def _is_schema_change(statement: str) -> bool:
    return statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP"))


@contextmanager
def _servers(folder: Path | None) -> Iterator[tuple[Database, str, LocalDebezium, Path]]:
    with tempfile.TemporaryDirectory(prefix="bemi-differential-") as name:
        scratch = folder or Path(name)
        scratch.mkdir(parents=True, exist_ok=True)
        # PostgreSQL may run as another user, who must be able to pass.
        scratch.chmod(0o755)
        postgres = LocalPostgres(scratch / "postgres", free_port(), settings=FAST_SETTINGS)
        kafka = LocalKafka(scratch / "kafka", free_port())
        worker = LocalDebezium(scratch / "debezium", kafka.bootstrap_servers)
        try:
            kafka.start()
            postgres.start()
            worker.start()
            with new_database(postgres) as database:
                yield database, kafka.bootstrap_servers, worker, scratch
        finally:
            worker.kill()
            kafka.kill()
            postgres.kill()


if __name__ == "__main__":
    main()
