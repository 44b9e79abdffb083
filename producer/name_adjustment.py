"""Make names that Avro takes of names that it does not. Pure.

A table or column may be called anything; Avro wants letters, digits and underscores. With
`none` a name stays as it is, which only matters to Avro. With `avro` each other character
becomes an underscore, so two names may become one. With `avro_unicode` it becomes `_u` and its
code; the underscore is then an escape character and is escaped itself, so no two do.

Rules: Debezium's `SchemaNameAdjuster`, character for character, so that the names are its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from producer.event_writer import unchanged

Adjust = Callable[[str], str]

MODES: Final = ("none", "avro", "avro_unicode")
"""Words of schema.name.adjustment.mode and field.name.adjustment.mode."""

_SIMPLE_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_FULL_NAME: Final = re.compile(rf"{_SIMPLE_NAME}(?:\.{_SIMPLE_NAME})*")
_FIELD_NAME: Final = re.compile(_SIMPLE_NAME)
_FIRST_REFUSED: Final = {"avro": re.compile(r"[^A-Za-z_]"), "avro_unicode": re.compile("[^A-Za-z]")}


def is_full_name(name: str) -> bool:
    """Tell whether Avro takes the name for a record: names with dots between them."""
    return _FULL_NAME.fullmatch(name) is not None


def is_field_name(name: str) -> bool:
    """Tell whether Avro takes the name for a field."""
    return _FIELD_NAME.fullmatch(name) is not None


def schema_name_adjuster(mode: str) -> Adjust:
    """Return what schema.name.adjustment.mode makes of a schema's name; dots stay.

    The first character after a dot is adjusted as any other: a digit there stays, and Avro
    refuses the name.
    """
    return _adjuster(mode, {"avro": r"[^A-Za-z0-9_.]", "avro_unicode": r"[^A-Za-z0-9.]"})


def field_name_adjuster(mode: str) -> Adjust:
    """Return what field.name.adjustment.mode makes of a column's name."""
    return _adjuster(mode, {"avro": r"[^A-Za-z0-9_]", "avro_unicode": r"[^A-Za-z0-9]"})


def _adjuster(mode: str, refused_by_mode: dict[str, str]) -> Adjust:
    if mode == "none":
        return unchanged
    first_refused = _FIRST_REFUSED[mode]
    refused = re.compile(refused_by_mode[mode])
    replace = _underscore if mode == "avro" else _escaped

    def adjust(name: str) -> str:
        first, rest = name[:1], name[1:]
        if first_refused.match(first):
            # The digit is kept, so that 1a and 2a do not both become _a.
            kept = first if mode == "avro" and first.isdecimal() else ""
            first = replace(first) + kept
        return first + refused.sub(lambda match: replace(match[0]), rest)

    return adjust


def _underscore(character: str) -> str:
    # One for each UTF-16 unit, as Java counts characters.
    return "_" * len(_utf16_units(character))


def _escaped(character: str) -> str:
    codes = [f"{unit:x}" for unit in _utf16_units(character)]
    # Two digits get two zeros before them, three stay three: that is how Debezium does it.
    return "".join(f"_u{'00' if len(code) <= 2 else ''}{code}" for code in codes)


def _utf16_units(character: str) -> list[int]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
