"""Keep Avro's schemas in a folder, for consumers that have no registry. Edge: files.

`{subject}.avsc` holds the schema of a topic's keys or values (`{topic}-key`, `{topic}-value`),
`{subject}.2.avsc` the next one when the table has changed, and so on: a file never changes, as
records written with it stay in the topic. `ids.json` says which id stands for which file:

    {"1": "shop.public.todo-key.avsc", "2": "shop.public.todo-value.avsc"}

Records are in Confluent's wire format, so a consumer takes the four bytes after the first as
the id, opens the file that `ids.json` has for it and decodes the rest by that schema.

The files may be written by hand before the producer starts. A file says the same as a table
when Avro's parsing canonical form is the same: docs and defaults do not matter to the bytes.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from fastavro.schema import SchemaParseException, to_parsing_canonical_form

from runtime.errors import Stop
from runtime.schema_changes import describe_changes

IDS: Final = "ids.json"
LAST_ID: Final = 2**31 - 1
"""Java reads the four bytes as a signed number."""


class SchemaFilesUnusable(Stop):
    """The folder of Avro schemas cannot be read or written, or holds something else."""


class SchemaFileMissing(Stop):
    """The folder of Avro schemas has no file for a table, and none may be written."""


class SchemaFiles:
    """A folder of schemas; several producers may share it."""

    def __init__(self, folder: Path, *, may_write: bool) -> None:
        """Use the folder; `may_write` lets the producer add what a table needs."""
        self._folder = folder
        self._may_write = may_write

    def id_of(self, subject: str, schema: str) -> int:
        """Return the id of the file that holds the schema, written now if it may be."""
        wanted = to_parsing_canonical_form(orjson.loads(schema))
        try:
            with self._lock():
                ids = self._read_ids()
                names = self._files_of(subject)
                for name in names:
                    if self._canonical_file(name) == wanted:
                        return self._id_of_file(name, ids)
                if not self._may_write:
                    raise SchemaFileMissing(self._advice(subject, names, schema))
                name = _next_name(subject, names)
                self._write(name, orjson.dumps(orjson.loads(schema), option=orjson.OPT_INDENT_2))
                return self._id_of_file(name, ids)
        except OSError as error:
            raise SchemaFilesUnusable(f"{self._folder}: {error}") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        if not self._may_write:
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_ids(self) -> dict[str, int]:
        """Return the id of each file that has one."""
        path = self._folder / IDS
        if not path.exists():
            return {}
        try:
            ids = {str(name): int(number) for number, name in _json(path).items()}
        except (ValueError, AttributeError) as error:
            raise SchemaFilesUnusable(f"{path} is no object of ids and file names") from error
        if any(not 0 < number <= LAST_ID for number in ids.values()):
            raise SchemaFilesUnusable(f"{path} has an id that is not between 1 and {LAST_ID}")
        return ids

    def _files_of(self, subject: str) -> list[str]:
        """Return the subject's files, the newest first."""
        pattern = re.compile(re.escape(subject) + r"(?:\.([1-9][0-9]*))?\.avsc")
        found = {
            int(match[1] or 1): path.name
            for path in self._folder.glob("*.avsc")
            if (match := pattern.fullmatch(path.name))
        }
        return [found[number] for number in sorted(found, reverse=True)]

    def _canonical_file(self, name: str) -> str:
        path = self._folder / name
        try:
            return to_parsing_canonical_form(_json(path))
        except (SchemaParseException, KeyError, TypeError, ValueError) as error:
            raise SchemaFilesUnusable(f"{path} holds no Avro schema: {error}") from error

    def _id_of_file(self, name: str, ids: dict[str, int]) -> int:
        if name in ids:
            return ids[name]
        if not self._may_write:
            raise SchemaFileMissing(f"{self._folder / IDS} has no id for {name}; give it one")
        ids = ids | {name: max(ids.values(), default=0) + 1}
        by_id = {str(number): file for file, number in sorted(ids.items(), key=lambda i: i[1])}
        self._write(IDS, orjson.dumps(by_id, option=orjson.OPT_INDENT_2))
        return ids[name]

    def _write(self, name: str, content: bytes) -> None:
        # Whole or not at all: a consumer may read at any moment.
        unfinished = self._folder / f".{name}.unfinished"
        with unfinished.open("wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._folder / name)

    def _advice(self, subject: str, names: list[str], schema: str) -> str:
        name = _next_name(subject, names)
        if not names:
            return (
                f"{self._folder} has no {name}; write it, with an id in {IDS}, or let the "
                "producer write it with auto.register.schemas=true"
            )
        changes = describe_changes(_json(self._folder / names[0]), orjson.loads(schema))
        return (
            f"{names[0]} in {self._folder} is not the schema of the table any more: "
            f"{'; '.join(changes) or 'its names or types differ'}. Add {name}, with an id in "
            f"{IDS}, or let the producer do it with auto.register.schemas=true; leave the old "
            "file, the records before are written with it"
        )


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SchemaFilesUnusable(f"{path} is no JSON: {error}") from error


def _next_name(subject: str, names: list[str]) -> str:
    if not names:
        return f"{subject}.avsc"
    newest = names[0].removeprefix(subject).removesuffix(".avsc")
    return f"{subject}.{int(newest[1:] or 1) + 1}.avsc"
