"""Compare by hand: `python -m tests.differential`.

Starts PostgreSQL, Kafka and one Connect worker of its own, runs what is asked for on both
sides, prints the differences and ends with 1 if there are any.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
import psycopg
from psycopg import sql

from deploy.local.debezium import LocalDebezium
from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.local.postgres import LocalPostgres
from tests.differential.column_kinds import ALL_KINDS, OPTIONAL_EXTENSIONS, SETUP
from tests.differential.configurations import VALUE_MODES, Configuration, configuration
from tests.differential.report import report
from tests.differential.script import Step, in_rounds, kind_steps, tables_of_kinds
from tests.differential.sides import SideBySide, side_by_side
from tests.fixtures.postgres import FAST_SETTINGS, Database


@click.command()
@click.option("--sql", "statements", multiple=True, help="Run this SQL; may be repeated.")
@click.option("--cases", is_flag=True, help="Run the hand-picked values of each type.")
@click.option("--only", multiple=True, help="With --cases: kinds whose name holds this.")
@click.option("--named", multiple=True, help="Named configurations; the default is `defaults`.")
@click.option("--config", "more", multiple=True, metavar="K=V", help="Properties on top of them.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep logs and data here.")
@click.option("--producer", default="bemi-producer", help="The producer's command.")
def main(
    statements: Sequence[str],
    cases: bool,
    only: Sequence[str],
    named: Sequence[str],
    more: Sequence[str],
    folder: Path | None,
    producer: str,
) -> None:
    """Run SQL before Debezium and the producer, and print where they differ."""
    configurations = [_chosen(name, more) for name in named or ("defaults",)]
    steps = [Step(statement, _is_schema_change(statement)) for statement in statements]
    with _servers(folder) as (database, bootstrap_servers, worker, scratch):
        available = install(database)
        if cases:
            kinds = [k for k in ALL_KINDS if not k.extension or k.extension in available]
            kinds = [k for k in kinds if not only or any(part in k.name for part in only)]
            steps += in_rounds([kind_steps(*table) for table in tables_of_kinds(kinds)])
        with side_by_side(
            database, bootstrap_servers, worker, scratch, configurations, producer.split()
        ) as sides:
            text = _compare(sides, steps)
    click.echo(text or "no difference")
    sys.exit(bool(text))


def install(database: Database) -> set[str]:
    """Make the types the kinds need; return the optional extensions that there are."""
    available = set()
    with closing(database.connect()) as connection:
        for extension in OPTIONAL_EXTENSIONS:
            try:
                connection.execute(f"CREATE EXTENSION {extension}")
            except psycopg.errors.FeatureNotSupported:
                continue
            available.add(extension)
        for statement in SETUP:
            connection.execute(statement)
    return available


def _compare(sides: SideBySide, steps: Sequence[Step]) -> str:
    began = time.monotonic()
    sides.start()
    started = time.monotonic()
    sides.run(steps)
    outcomes = list(sides.finish())
    click.echo(
        f"{len(steps)} statements, {len(outcomes)} configurations: {started - began:.1f} s to "
        f"start, {time.monotonic() - started:.1f} s to run; records compared: "
        + ", ".join(f"{o.configuration.name} {o.records}" for o in outcomes)
    )
    for statement, reason in sides.errors:
        click.echo(f"refused: {statement[:200]}: {reason.splitlines()[0]}")
    return report(outcomes)


def _chosen(name: str, more: Sequence[str]) -> Configuration:
    found = {c.name: c for c in VALUE_MODES}.get(name)
    if found is None:
        names = ", ".join(c.name for c in VALUE_MODES)
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
            yield new_database(postgres), kafka.bootstrap_servers, worker, scratch
        finally:
            worker.kill()
            kafka.kill()
            postgres.kill()


def new_database(server: LocalPostgres) -> Database:
    """Make an empty database."""
    name = f"differential_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    environ = {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_NAME": name,
        "DB_USER": server.user,
        "DB_PASSWORD": server.password,
    }
    return Database(name, server.dsn(name), environ)


if __name__ == "__main__":
    main()
