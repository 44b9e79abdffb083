"""Say in words what is different between two Avro schemas of the same subject. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def describe_changes(old: Any, new: Any) -> list[str]:
    """Return one phrase for each field that came, went or became another; none if none did.

    Only what a reader has to know: names, types and which fields have a default.
    """
    return list(_changes("", old, new, {}, {}))


def _changes(
    path: str, old: Any, new: Any, old_records: dict[str, Any], new_records: dict[str, Any]
) -> Iterator[str]:
    old, new = _resolved(old, old_records), _resolved(new, new_records)
    if isinstance(old, list) and isinstance(new, list):
        # Unions are of null and one other; their order follows the default.
        old_one, new_one = _but_null(old), _but_null(new)
        if old_one is not None and new_one is not None:
            yield from _changes(path, old_one, new_one, old_records, new_records)
            return
    if _kind(old) != _kind(new):
        yield f"{path or 'the schema'} was {_words(old)} and is {_words(new)}"
    elif _kind(old) == "record":
        yield from _record_changes(path, old, new, old_records, new_records)
    elif _kind(old) == "array":
        yield from _changes(f"{path}[]", old["items"], new["items"], old_records, new_records)
    elif _kind(old) == "map":
        yield from _changes(f"{path}{{}}", old["values"], new["values"], old_records, new_records)


def _record_changes(
    path: str, old: Any, new: Any, old_records: dict[str, Any], new_records: dict[str, Any]
) -> Iterator[str]:
    if _full_name(old) != _full_name(new):
        yield f"{path or 'the schema'} was {_full_name(old)} and is {_full_name(new)}"
    first_seen = _full_name(old) not in old_records or _full_name(new) not in new_records
    old_records[_full_name(old)], new_records[_full_name(new)] = old, new
    if not first_seen:
        return
    old_fields = {field["name"]: field for field in old["fields"]}
    new_fields = {field["name"]: field for field in new["fields"]}
    for name, field in old_fields.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in new_fields:
            yield f"{where} is gone{_without_default(field)}"
        else:
            other = new_fields[name]
            yield from _changes(where, field["type"], other["type"], old_records, new_records)
    for name, field in new_fields.items():
        if name not in old_fields:
            where = f"{path}.{name}".lstrip(".")
            yield f"{where} is new ({_words(field['type'])}{_without_default(field)})"


def _without_default(field: Any) -> str:
    return "" if "default" in field else ", without a default"


def _resolved(schema: Any, records: dict[str, Any]) -> Any:
    """Return the record that a name stands for, if it has come before."""
    if not isinstance(schema, str):
        return schema
    for full_name, record in records.items():
        if schema in (full_name, record["name"]):
            return record
    return schema


def _full_name(record: Any) -> str:
    namespace = record.get("namespace")
    return f"{namespace}.{record['name']}" if namespace else str(record["name"])


def _but_null(union: list[Any]) -> Any:
    others = [branch for branch in union if branch != "null"]
    return others[0] if len(others) == 1 else None


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def _words(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_words(branch) for branch in schema)
    if isinstance(schema, dict) and schema["type"] == "record":
        return _full_name(schema)
    return _kind(schema)
