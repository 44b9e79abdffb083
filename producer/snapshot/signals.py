"""Read signals: what to do with incremental snapshots, asked for while streaming. Pure.

A signal comes as a row of the signal table (id, type, data) or as a record of the signal topic;
`data` is a JSON object. One that cannot be understood is refused by SignalRefused, which the
caller logs: whoever may write signals must not be able to stop the stream with one.

Format: Debezium, "Sending signals to a Debezium connector".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class SignalRefused(ValueError):
    """A signal is not one of those that this producer acts on; the message says why."""


@dataclass(frozen=True, slots=True)
class ExecuteSnapshot:
    """Read tables while streaming; names are anchored expressions over `schema.table`."""

    collections: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()
    """For which tables, and what SQL condition their rows must meet."""


@dataclass(frozen=True, slots=True)
class StopSnapshot:
    """Read no more of these tables; of none, where no names are given."""

    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PauseSnapshot:
    """Read nothing until resumed."""


@dataclass(frozen=True, slots=True)
class ResumeSnapshot:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """Write a line to the log."""

    message: str


Signal = ExecuteSnapshot | StopSnapshot | PauseSnapshot | ResumeSnapshot | LogMessage


def parse_signal(kind: str, data: str | None) -> Signal | None:
    """Return the signal, or None for those that only Debezium's own watermarks need."""
    if kind in ("snapshot-window-open", "snapshot-window-close"):
        return None
    fields = _fields(data)
    if kind == "execute-snapshot":
        _check_type(fields)
        collections = _names(fields)
        if not collections:
            raise SignalRefused("execute-snapshot names no data-collections")
        return ExecuteSnapshot(collections, _conditions(fields))
    if kind == "stop-snapshot":
        _check_type(fields)
        return StopSnapshot(_names(fields))
    if kind == "pause-snapshot":
        return PauseSnapshot()
    if kind == "resume-snapshot":
        return ResumeSnapshot()
    if kind == "log":
        return LogMessage(str(fields.get("message", "")))
    raise SignalRefused(f"there is no signal {kind!r}")


def parse_signal_record(value: bytes) -> tuple[str, Signal | None]:
    """Return the id and the signal of a record of the signal topic."""
    try:
        record = json.loads(value)
        kind, data = record["type"], record.get("data")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SignalRefused("a signal is a JSON object with `type` and `data`") from error
    signal = parse_signal(str(kind), data if isinstance(data, str) else json.dumps(data))
    return str(record.get("id", "")), signal


def _fields(data: str | None) -> dict[str, Any]:
    try:
        fields = json.loads(data or "{}")
    except (ValueError, RecursionError) as error:
        raise SignalRefused("a signal's data is no JSON") from error
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise SignalRefused("a signal's data is no JSON object")
    return fields


def _check_type(fields: dict[str, Any]) -> None:
    kind = str(fields.get("type", "incremental")).lower()
    if kind != "incremental":
        raise SignalRefused(
            f"snapshots by signal are incremental, not {kind}: they need no pause of the stream"
        )
    if fields.get("surrogate-key"):
        raise SignalRefused("surrogate-key is not supported: the table's own key is used")


def _names(fields: dict[str, Any]) -> tuple[str, ...]:
    names = fields.get("data-collections") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SignalRefused("data-collections is no list of names")
    return tuple(names)


def _conditions(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    given = fields.get("additional-conditions") or []
    if isinstance(fields.get("additional-condition"), str) and not given:
        # Debezium's older form: for all tables.
        given = [{"data-collection": ".*", "filter": fields["additional-condition"]}]
    try:
        conditions = [(str(one["data-collection"]), str(one["filter"])) for one in given]
    except (TypeError, KeyError) as error:
        raise SignalRefused(
            "additional-conditions is a list of objects with data-collection and filter"
        ) from error
    if any(";" in condition for _, condition in conditions):
        raise SignalRefused("a filter is a condition, not a statement: it has no semicolon")
    return tuple(conditions)
