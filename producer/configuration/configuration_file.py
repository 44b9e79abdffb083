"""Read a configuration file as it is: Java properties or Connect's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import javaproperties

from runtime.settings import InvalidSettings


def read_properties(path: Path) -> dict[str, str]:
    """Return the properties of a file, whichever of the formats it has.

    Raises InvalidSettings when it cannot be read or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"cannot read the configuration {path}: {error}") from error
    if text.lstrip().startswith("{"):
        return _from_json(text, path)
    try:
        return javaproperties.loads(text)
    except ValueError as error:
        raise InvalidSettings(f"{path} is no properties file: {error}") from error


def _from_json(text: str, path: Path) -> dict[str, str]:
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise InvalidSettings(f"{path} is no JSON: {error}") from error
    nested = document.get("config")
    values = nested if isinstance(nested, dict) else document
    return {name: _text(name, value, path) for name, value in values.items() if value is not None}


def _text(name: str, value: object, path: Path) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidSettings(f"{path}: {name} is no string")
