"""Find the setting that each property of a configuration is. Pure.

Every property is a setting, one of a family that is a setting together, or known as unused;
an unknown one is refused with the nearest name, because a misspelt property that is ignored
is found too late.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from producer.configuration import debezium_server, unused
from producer.configuration.assigned import Assigned
from producer.configuration.converters import assign_converters, is_of_converter
from producer.configuration.kafka_client import assign_client, is_of_client
from producer.configuration.property import Property
from runtime.settings import Given

OVERRIDES: Final = "snapshot.select.statement.overrides"
_COLUMN_RULE = re.compile(
    r"column\.(truncate\.to|mask\.with)\.\d+\.chars|column\.mask\.hash\.v2\.[^.]+\.with\.salt\..+"
)
_HASH_OF_JAVA_OBJECTS: Final = (
    "it hashes Java's serialized objects; column.mask.hash.v2 hashes the value's own bytes"
)
# Properties and values that Debezium replaced by others of the same meaning.
_REPLACED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "flush.lsn.source": ("lsn.flush.mode", {"true": "connector", "false": "manual"}),
    "internal.slot.seek.to.known.offset.on.start": (
        "offset.mismatch.strategy",
        {"true": "trust_offset", "false": "no_validation"},
    ),
    "snapshot.mode": ("snapshot.mode", {"never": "no_data"}),
    "event.processing.failure.handling.mode": (
        "event.processing.failure.handling.mode",
        {"ignore": "skip"},
    ),
}


def assign(properties: Mapping[str, str], known: Mapping[str, Property]) -> Assigned:
    """Return the settings that the properties give; `known` has each attribute's property."""
    assigned = Assigned()
    if debezium_server.is_of_server(properties):
        properties = debezium_server.as_connector(properties, assigned)
    assign_converters(properties, assigned)
    assign_client(properties, assigned)
    attributes = {prop.name: attribute for attribute, prop in known.items()}
    refused: set[unused.Unused] = set()
    for written_name, written_value in properties.items():
        name, value = _current(written_name, written_value)
        if is_of_converter(name) or is_of_client(name):
            continue
        if name in attributes and name != OVERRIDES:
            assigned.give(attributes[name], Given(written_name, value))
        elif not _assign_family(name, value, assigned):
            _assign_unused(name, value, attributes, assigned, refused)
    _check_overrides(properties, assigned)
    return assigned


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a message that names the nearest of the names, if one is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _current(name: str, value: str) -> tuple[str, str]:
    if name not in _REPLACED:
        return name, value
    current_name, values = _REPLACED[name]
    return current_name, values.get(value.strip().lower(), value)


def _assign_family(name: str, value: str, assigned: Assigned) -> bool:
    if _COLUMN_RULE.fullmatch(name):
        assigned.give_in_family("column_rules", name, value, "column.mask.* and column.truncate.*")
    elif name.startswith("column.mask.hash."):
        # Not the whole name: it has the salt in it.
        assigned.problems.append(f"column.mask.hash.* is refused: {_HASH_OF_JAVA_OBJECTS}")
    elif name.startswith("topic.creation.") and name != "topic.creation.enable":
        assigned.give_in_family("topic_creation", name, value, "topic.creation.*")
    elif name.startswith(f"{OVERRIDES}."):
        table = name.removeprefix(f"{OVERRIDES}.")
        assigned.give_in_family("snapshot_select_statement_overrides", table, value, OVERRIDES)
    else:
        return name == OVERRIDES
    return True


def _assign_unused(
    name: str,
    value: str,
    attributes: Iterable[str],
    assigned: Assigned,
    refused: set[unused.Unused],
) -> None:
    entry = unused.find(name)
    if entry is None:
        names = [*attributes, *(known.name.rstrip("*") for known in unused.UNUSED)]
        assigned.problems.append(f"unknown property {name}{nearest(name, names)}")
    elif not entry.accepts(value):
        if entry not in refused:
            assigned.problems.append(f"{name} is refused: {entry.reason}")
        refused.add(entry)
    elif entry.accepted is None:
        assigned.notes.append(f"{name} is not used: {entry.reason}")


def _check_overrides(properties: Mapping[str, str], assigned: Assigned) -> None:
    """Refuse a table that is listed without its statement, and a statement not listed."""
    listed = {table.strip() for table in properties.get(OVERRIDES, "").split(",") if table.strip()}
    stated = assigned.given.get("snapshot_select_statement_overrides", Given("", {})).value.keys()
    for table in sorted(listed ^ stated):
        wanted = f"{OVERRIDES}.{table}" if table in listed else f"{table} in {OVERRIDES}"
        assigned.problems.append(f"{wanted} is missing")
