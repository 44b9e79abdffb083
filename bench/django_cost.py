"""`python -m bench django`: what it costs a Django site to have its changes recorded.

The same views on the same server for each contender, turn by turn: each has a process and a
database of its own, and only one of them works at a time. Measured around the operation alone are
seconds, seconds of processor (the site's and its backend's) and bytes of WAL. Ratios are of the
same round, to a plain site whose table has REPLICA IDENTITY FULL; a second site of that kind shows
how far two equal ones are apart.

fsync and full-page images are off: a disk's waits would hide the difference in time, and where a
checkpoint falls that in bytes. With `durable` fsync is on, as a site's server has it. Before
measuring, each contender shows what it records.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import IO, Any

import psycopg

from bench.django_contenders import (
    BASE,
    CONTENDERS,
    FROM_WAL,
    OURS,
    Contender,
    python_of,
)
from bench.measure import print_progress, print_result, print_table, ratio
from bench.servers import postgres_environ, running_postgres
from deploy.local.paths import REPOSITORY
from deploy.local.postgres import LocalPostgres

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
SPARE_ROWS = 1_000  # For the operation `delete`.
SLOT_SUFFIX = "_records"
QUERYSET_UPDATE = "queryset_update"
REQUEST = "request"
ROWS_OF_REQUEST = 2


@dataclass(frozen=True, slots=True)
class Operation:
    """What is measured in a turn."""

    name: str
    label: str
    count: int
    rows: int  # Of the table that it changes.


def operations(rows: int, repeats: int) -> dict[str, Operation]:
    """Return what a contender may do in a round, by name."""
    every_operation = [
        Operation("create", "create", repeats, repeats),
        Operation("update", "update", repeats, repeats),
        Operation("delete", "delete", repeats, repeats),
        Operation("bulk_create", "bulk_create", 1_000, 1_000),
        Operation(QUERYSET_UPDATE, "queryset.update", rows, rows),
        Operation(REQUEST, "request", repeats, repeats * ROWS_OF_REQUEST),
    ]
    return {operation.name: operation for operation in every_operation}


OPERATIONS = list(operations(0, 0))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a turn took."""

    seconds: float
    cpu_seconds: float
    wal_bytes: float


class Site:
    """A contender's process and database."""

    def __init__(
        self, contender: Contender, server: LocalPostgres, rows: int, stack: ExitStack
    ) -> None:
        self.contender = contender
        self._rows = rows
        server.ensure_database(contender.database)
        environ = postgres_environ(server) | {"DB_NAME": contender.database}
        self._questions, self._answers = stack.enter_context(_worker(contender, environ))
        self._answer()
        self._connection: psycopg.Connection[Any] = stack.enter_context(
            psycopg.connect(server.dsn(contender.database), autocommit=True)
        )
        self._fill()

    def turn(self, operation: Operation) -> Cost:
        """Let the site do it once, on a table as it was at the beginning."""
        self._reset(operation)
        return self._do(operation)

    def records_of(self, operation: Operation) -> int:
        """Return of how many rows it recorded that this changed them."""
        self._reset(operation)
        count, slot = self.contender.count_records, self.contender.database + SLOT_SUFFIX
        if count is None:
            return 0
        if count == FROM_WAL:
            self._connection.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [slot]
            )
        self._do(operation)
        ((found,),) = self._connection.execute(count.encode(), {"slot": slot}).fetchall()
        if count == FROM_WAL:
            self._connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        return int(found)

    def _do(self, operation: Operation) -> Cost:
        print(
            json.dumps({"operation": operation.name, "count": operation.count}),
            file=self._questions,
            flush=True,
        )
        return Cost(**self._answer())

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"the site of {self.contender.name} has ended; it says why above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _fill(self) -> None:
        # What the bench itself writes is nobody's to record.
        self._connection.execute("SET session_replication_role = replica")
        if self.contender.is_identity_full:
            self._connection.execute("ALTER TABLE site_order REPLICA IDENTITY FULL")
        self._insert(1, self._rows)
        self._connection.execute("VACUUM ANALYZE site_order")
        self._connection.execute(
            "SELECT setval(pg_get_serial_sequence('site_order', 'id'), 1000000000)"
        )

    def _reset(self, operation: Operation) -> None:
        self._connection.execute("DELETE FROM site_order WHERE id > %s", [self._rows])
        self._insert(self._rows + 1, self._rows + SPARE_ROWS)
        if self.contender.history is not None:
            self._connection.execute(f"TRUNCATE {self.contender.history} CASCADE".encode())
        if operation.name == QUERYSET_UPDATE:
            self._connection.execute("VACUUM site_order")

    def _insert(self, first: int, last: int) -> None:
        self._connection.execute(
            "INSERT INTO site_order (id, number, customer, status, title, note, amount, quantity,"
            " is_paid, created_at, updated_at)"
            " SELECT n, md5(n::text), n %% 997, 'new', 'Order of customer ' || n %% 997,"
            " repeat('A note as people write them. ', 3), 19.95, 1, false, now(), now()"
            " FROM generate_series(%s::bigint, %s::bigint) AS n",
            [first, last],
        )


@contextmanager
def _worker(contender: Contender, environ: dict[str, str]) -> Iterator[tuple[IO[str], IO[str]]]:
    process = subprocess.Popen(
        [python_of(contender), "-m", "bench.django_site.worker"],
        cwd=REPOSITORY,
        env={
            **environ,
            "BENCH_TRACKING": contender.tracking,
            "DJANGO_SETTINGS_MODULE": "bench.django_site.settings",
            **({} if contender.environment else {"PYTHONPATH": str(REPOSITORY / "django_bemi")}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.communicate()


def bench_django(
    rows: int, rounds: int, repeats: int, names: Sequence[str], *, is_durable: bool
) -> None:
    """Measure the named operations and print."""
    possible = operations(rows, repeats)
    every_operation = [possible[name] for name in names]
    settings = SETTINGS | {"fsync": "on" if is_durable else "off"}
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    records: dict[tuple[str, str], int] = {}
    with running_postgres(settings) as (_, server), ExitStack() as stack:
        sites = []
        for contender in CONTENDERS:
            print_progress(f"preparing {contender.name}")
            sites.append(Site(contender, server, rows, stack))
        for operation in every_operation:
            for site in sites:
                records[site.contender.name, operation.name] = site.records_of(operation)
            if records[OURS, operation.name] != operation.rows:
                raise RuntimeError(
                    f"{OURS} recorded {records[OURS, operation.name]} of {operation.rows} rows of "
                    f"{operation.label}: there is nothing to compare"
                )
        for number in range(rounds):
            print_progress(f"round {number + 1} of {rounds}")
            for operation in every_operation:
                # Who comes first changes, so that nobody always has the warmer machine.
                for site in sites[number % len(sites) :] + sites[: number % len(sites)]:
                    costs[site.contender.name, operation.name].append(site.turn(operation))
    _print(every_operation, rounds, costs, records)


def _print(
    every_operation: list[Operation],
    rounds: int,
    costs: dict[tuple[str, str], list[Cost]],
    records: dict[tuple[str, str], int],
) -> None:
    names = [contender.name for contender in CONTENDERS]
    seconds = {key: [cost.seconds for cost in found] for key, found in costs.items()}
    cpu = {key: [cost.cpu_seconds for cost in found] for key, found in costs.items()}
    wal = {key: [cost.wal_bytes for cost in found] for key, found in costs.items()}
    labels = [operation.label for operation in every_operation]
    print_table(
        f"{BASE}: medians of {rounds} rounds",
        ["", *labels],
        [
            ["times", *(str(operation.count) for operation in every_operation)],
            ["ms", *(f"{median(seconds[BASE, o.name]) * 1e3:.1f}" for o in every_operation)],
            ["kB of WAL", *(f"{median(wal[BASE, o.name]) / 1e3:.0f}" for o in every_operation)],
        ],
    )
    ratios = {}
    for title, values in (("time", seconds), ("CPU", cpu), ("WAL", wal)):
        ratios[title] = {
            name: {
                o.name: ratio(values[name, o.name], values[BASE, o.name]) for o in every_operation
            }
            for name in names
        }
        print_table(
            f"{title}, medians of the ratios to {BASE} of the same round",
            ["", *labels],
            [[name, *(f"{found:.2f}" for found in ratios[title][name].values())] for name in names],
        )
    print_table(
        "records: of the rows changed",
        ["", *labels],
        [
            [name, *(f"{records[name, o.name]} of {o.rows}" for o in every_operation)]
            for name in names
        ],
    )
    last = every_operation[-1]
    print_result(
        "django",
        seconds[OURS, last.name],
        seconds[BASE, last.name],
        f"s of {last.count} times {last.label}",
        time=ratios["time"],
        cpu=ratios["CPU"],
        wal=ratios["WAL"],
        records={name: {o.name: records[name, o.name] for o in every_operation} for name in names},
    )
