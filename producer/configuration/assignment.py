"""Find the setting that each property of a configuration is. Pure.

Every property is a setting, one of a family that is a setting together, or known as unused;
an unknown one is refused with the nearest name, because a misspelt property that is ignored
is found too late.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from producer.configuration import unused
from producer.configuration.property import Property
from runtime.settings import Given

OVERRIDES: Final = "snapshot.select.statement.overrides"
HASH_OF_JAVA_OBJECTS: Final = (
    "hashes Java's serialized objects; use column.mask.hash.v2.*, which hashes the value's bytes"
)
_COLUMN_RULE = re.compile(
    r"column\.(truncate\.to|mask\.with)\.\d+\.chars|column\.mask\.hash\.v2\.[^.]+\.with\.salt\..+"
)


@dataclass(slots=True)
class Assigned:
    """What a configuration gives: values by attribute, and what has to be said of the rest."""

    given: dict[str, Given] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def put_into_family(self, attribute: str, name: str, value: str, whole_name: str) -> None:
        """Add one property to those that are a setting together."""
        family = self.given.setdefault(attribute, Given(whole_name, {}))
        family.value[name] = value


def assign(properties: Mapping[str, str], known: Mapping[str, Property]) -> Assigned:
    """Return the settings that the properties give; `known` has each attribute's property."""
    attributes = {
        name: attribute for attribute, prop in known.items() for name in (prop.name, *prop.also)
    }
    assigned = Assigned()
    for name, value in properties.items():
        if name in attributes and name != OVERRIDES:
            assigned.given[attributes[name]] = Given(name, value)
        elif not _assign_family(assigned, name, value):
            _assign_unused(assigned, name, value, attributes)
    return assigned


def _assign_family(assigned: Assigned, name: str, value: str) -> bool:
    if _COLUMN_RULE.fullmatch(name):
        assigned.put_into_family("column_rules", name, value, name)
    elif name.startswith("column.mask.hash."):
        assigned.problems.append(f"{name} {HASH_OF_JAVA_OBJECTS}")
    elif name.startswith("topic.creation."):
        assigned.put_into_family("topic_creation", name, value, "topic.creation.*")
    elif name.startswith(f"{OVERRIDES}."):
        table = name.removeprefix(f"{OVERRIDES}.")
        assigned.put_into_family("snapshot_select_statement_overrides", table, value, OVERRIDES)
    else:
        return name == OVERRIDES
    return True


def _assign_unused(assigned: Assigned, name: str, value: str, attributes: Iterable[str]) -> None:
    entry = unused.find(name)
    if entry is None:
        near = nearest(name, [*attributes, *(entry.name for entry in unused.UNUSED)])
        assigned.problems.append(f"unknown property {name}{near}")
    elif not entry.accepts(value):
        assigned.problems.append(f"{name} is refused: {entry.reason}")
    elif entry.accepted is None:
        assigned.notes.append(f"{name} is not used: {entry.reason}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a message that names the nearest of the names, if one is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""
