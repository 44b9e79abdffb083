"""`python -m bench producer`: drain prepared backlogs of WAL with ours and with Debezium.

Three workloads make the same changes: in transactions of ten rows, of one row, and all in one.
Each turn has a slot of its own, made before the backlog is written, so all read the same WAL,
and a fresh process, so its start is measured as well. It is over when every topic has all its
records, which are the same for all, `.wal` apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median

from bench import workload
from bench.contenders import CONTENDERS, DEFAULTS, OURS, OURS_WITH_WAL, TUNED, Contender, make_slot
from bench.measure import Drain, print_progress, print_result, print_table, ratio, watch_topics
from bench.servers import Servers, running_servers
from bench.workload import ONE_TRANSACTION, TEN_ROWS, Backlog, Workload
from schemas.topics import Topics


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contender did with one backlog."""

    changes_per_second: float
    late_changes_per_second: float  # Of the second half.
    cpu_us_per_change: float  # From the first record on: starting is measured apart.
    peak_memory_mb: float
    first_record_seconds: float

    @classmethod
    def of(cls, drain: Drain, changes_per_record: float) -> Turn:
        """Return the drain in terms of changes."""
        return cls(
            drain.records_per_second * changes_per_record,
            drain.late_records_per_second * changes_per_record,
            drain.cpu_us_per_record / changes_per_record,
            drain.peak_memory_bytes / 1e6,
            drain.first_record_seconds,
        )


class Turns:
    """All turns at one workload, one of each contender a round."""

    def __init__(self) -> None:
        self._turns: dict[Contender, list[Turn]] = {contender: [] for contender in CONTENDERS}

    def add(self, contender: Contender, turn: Turn) -> None:
        """Add the contender's turn of the round."""
        self._turns[contender].append(turn)

    def values(self, contender: Contender, measure: str) -> list[float]:
        """Return what was measured of the contender, by round."""
        return [float(getattr(turn, measure)) for turn in self._turns[contender]]

    def medians(self, contender: Contender) -> Turn:
        """Return the median of each measure."""
        return Turn(*(median(self.values(contender, field.name)) for field in fields(Turn)))

    def ratio(self, ours: Contender, peer: Contender, measure: str = "changes_per_second") -> float:
        """Return the median of the ratios of the rounds."""
        return ratio(self.values(ours, measure), self.values(peer, measure))

    def ratios(self) -> dict[str, float]:
        """Return the ratios that there are bars for; for all but the rates, less is better."""
        return {
            "ratio": self.ratio(OURS, DEFAULTS),
            "tuned_ratio": self.ratio(OURS, TUNED),
            "wal_tuned_ratio": self.ratio(OURS_WITH_WAL, TUNED),
            "late_ratio": self.ratio(OURS, DEFAULTS, "late_changes_per_second"),
            "late_tuned_ratio": self.ratio(OURS, TUNED, "late_changes_per_second"),
            "late_wal_tuned_ratio": self.ratio(OURS_WITH_WAL, TUNED, "late_changes_per_second"),
            "cpu_ratio": self.ratio(OURS, DEFAULTS, "cpu_us_per_change"),
            "memory_ratio": self.ratio(OURS, DEFAULTS, "peak_memory_mb"),
            "wal_memory_ratio": self.ratio(OURS_WITH_WAL, DEFAULTS, "peak_memory_mb"),
            "start_ratio": self.ratio(OURS, DEFAULTS, "first_record_seconds"),
        }


def bench_producer(
    rows: int, rounds: int, transaction_rows: int, workloads: Sequence[Workload]
) -> None:
    """Measure and print."""
    results: dict[Workload, Turns] = {}
    with running_servers() as servers:
        with servers.connect() as connection:
            workload.create(connection)
        for number, each in enumerate(workloads):
            changes = transaction_rows if each is ONE_TRANSACTION else rows
            results[each] = _take_turns(servers, f"w{number}", each, changes, rounds)
    for each, turns in results.items():
        changes = transaction_rows if each is ONE_TRANSACTION else rows
        _print_turns(f"{changes} changes in {each.title}, medians of {rounds}", turns)
    first = results[workloads[0]]
    more: dict[str, object] = {**first.ratios()}
    del more["ratio"]  # That of the result itself.
    if TEN_ROWS in results and ONE_TRANSACTION in results:
        more["memory_growth"] = _memory_growth(results, OURS)
        more["wal_memory_growth"] = _memory_growth(results, OURS_WITH_WAL)
    more["workloads"] = {
        each.name: {
            **{contender.name: _rounded(turns.medians(contender)) for contender in CONTENDERS},
            **turns.ratios(),
        }
        for each, turns in results.items()
    }
    print_result(
        "producer",
        first.values(OURS, "changes_per_second"),
        first.values(DEFAULTS, "changes_per_second"),
        "changes/s",
        **more,
    )


def _take_turns(
    servers: Servers, prefix: str, chosen: Workload, changes: int, rounds: int
) -> Turns:
    order = [(number, contender) for number in range(rounds) for contender in CONTENDERS]
    slots = [f"{prefix}_{contender.name}_{number}" for number, contender in order]
    for slot in slots:
        make_slot(servers, slot)
    with servers.connect() as connection:
        backlog = workload.write(connection, changes, chosen)
        # What was written goes to the disk now, not during somebody's turn.
        connection.execute("CHECKPOINT")
    turns = Turns()
    for slot, (number, contender) in zip(slots, order, strict=True):
        turn = _turn(servers, slot, contender, backlog)
        turns.add(contender, turn)
        print_progress(
            f"{chosen.name}, round {number + 1}, {contender.title}: "
            f"{turn.changes_per_second:.0f} changes/s"
        )
    return turns


def _turn(servers: Servers, slot: str, contender: Contender, backlog: Backlog) -> Turn:
    expected = backlog.records(Topics(slot), with_wal=contender.writes_wal)
    with contender.running(servers, slot) as process:
        drain = watch_topics(servers.admin(), expected, process.started_at, process.usage)
    return Turn.of(drain, backlog.changes / sum(expected.values()))


def _print_turns(title: str, turns: Turns) -> None:
    medians = [(contender, turns.medians(contender)) for contender in CONTENDERS]
    print_table(
        title,
        [
            "",
            "changes/s",
            "of the 2nd half",
            "CPU us/change",
            "peak memory MB",
            "first record s",
        ],
        [
            [
                contender.title,
                f"{turn.changes_per_second:.0f}",
                f"{turn.late_changes_per_second:.0f}",
                f"{turn.cpu_us_per_change:.1f}",
                f"{turn.peak_memory_mb:.0f}",
                f"{turn.first_record_seconds:.1f}",
            ]
            for contender, turn in medians
        ],
    )


def _memory_growth(results: dict[Workload, Turns], contender: Contender) -> float:
    """Return how many times the memory of small transactions the large one took."""
    small = results[TEN_ROWS].values(contender, "peak_memory_mb")
    large = results[ONE_TRANSACTION].values(contender, "peak_memory_mb")
    return ratio(large, small)


def _rounded(turn: Turn) -> dict[str, float]:
    return {name: round(value, 2) for name, value in asdict(turn).items()}
