"""Say where the records of the two sides differ. Pure.

Not compared, because no two runs of the same connector agree on it either: the wall-clock
times of an envelope; those of its source too where they say when the connector saw something
(snapshots, messages outside of transactions), and where a snapshot was taken (its LSN, its
transaction); Debezium's version; the headers that name a run and a task; how many heartbeats
there were; the order of END's counts, which is that of addresses of Java objects. The topic
that keeps where the producer stands, and its own messages through the WAL (heartbeats,
watermarks of snapshots), have no twin at all. Everything else must be equal, the order of
fields included, or is explained by a rule (`kept`, `honest`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from schemas.topics import HEARTBEAT_PREFIX, SNAPSHOT_PREFIX
from tests.differential.records import Record

ABSENT = "(absent)"
RECORD = "record"
"""The path of a difference that is a whole record, which only one side has."""
_OFFSETS_TOPIC = "*.producer-offsets"  # Where the producer stands; Connect keeps it elsewhere.
_UNCOMPARED = "(not compared)"
_TIMES = ("ts_ms", "ts_us", "ts_ns")
_OF_THE_RUN = ("__debezium.context.taskId", "__debezium.context.runId")
MESSAGES = "LOGICAL_DECODING_MESSAGE"
"""What END calls the logical messages of a transaction."""
_MESSAGE_OBJECT = re.compile(r"^io\.debezium[\w.$]+@[0-9a-f]+$")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two records, or two topics, are not the same."""

    topic: str
    offset: int
    """Of the record in Debezium's topic; in the producer's if only that has it."""
    path: str
    debezium: Any
    ours: Any
    lsn: int | None = None

    @property
    def kind(self) -> str:
        """Return what differences of the same cause have in common."""
        if self.path == RECORD:
            return f"{self.topic} {self.path}"
        return re.sub(r"\[\d+\]", "[]", self.path).replace("payload.", "")


@dataclass(frozen=True, slots=True)
class _Document:
    """A record, parsed, without what is not compared."""

    offset: int
    identity: tuple[Any, ...]
    lsn: int | None
    parts: dict[str, Any]
    is_heartbeat: bool


def compare_topics(
    debezium: dict[str, list[Record]],
    ours: dict[str, list[Record]],
    prefixes: tuple[str, str],
) -> Iterator[Difference]:
    """Yield every difference between the topics of two sides, which have prefixes of their own."""
    theirs = {topic.replace(prefixes[0], "*"): records for topic, records in debezium.items()}
    mine = {topic.replace(prefixes[1], "*"): records for topic, records in ours.items()}
    for topic in sorted(theirs.keys() | mine.keys() - {_OFFSETS_TOPIC}):
        expected = _documents(theirs.get(topic, []), prefixes[0])
        found = _documents(mine.get(topic, []), prefixes[1])
        if all(document.is_heartbeat for document in (*expected, *found)):
            expected, found = expected[:1], found[:1]
        yield from _compare_topic(topic, expected, found)


def _compare_topic(
    topic: str, expected: Sequence[_Document], found: Sequence[_Document]
) -> Iterator[Difference]:
    matcher = SequenceMatcher(
        None, [d.identity for d in expected], [d.identity for d in found], autojunk=False
    )
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and a_end - a == b_end - b):
            for theirs, mine in zip(expected[a:a_end], found[b:b_end], strict=True):
                for path, left, right in differences(theirs.parts, mine.parts):
                    yield Difference(topic, theirs.offset, path, left, right, theirs.lsn)
            continue
        for document in expected[a:a_end]:
            shown = _shown(document)
            yield Difference(topic, document.offset, RECORD, shown, ABSENT, document.lsn)
        for document in found[b:b_end]:
            shown = _shown(document)
            yield Difference(topic, document.offset, RECORD, ABSENT, shown, document.lsn)


def differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each path at which two JSON documents differ, with both values there."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in left | right:
            below = f"{path}.{name}" if path else name
            if name not in left or name not in right:
                yield below, left.get(name, ABSENT), right.get(name, ABSENT)
            else:
                yield from differences(left[name], right[name], below)
        common = left.keys() & right.keys()
        orders = [[name for name in side if name in common] for side in (left, right)]
        if orders[0] != orders[1]:
            yield f"{path} (order)", orders[0], orders[1]
    elif isinstance(left, list) and isinstance(right, list):
        fields = _by_field(left), _by_field(right)
        if fields[0] is not None and fields[1] is not None:
            yield from differences(fields[0], fields[1], path)
            return
        for number in range(max(len(left), len(right))):
            below = f"{path}[{number}]"
            if number >= len(left) or number >= len(right):
                yield (
                    below,
                    left[number] if number < len(left) else ABSENT,
                    right[number] if number < len(right) else ABSENT,
                )
            else:
                yield from differences(left[number], right[number], below)
    elif left.__class__ is not right.__class__ or left != right:
        yield path, left, right


def _by_field(nodes: list[Any]) -> dict[str, Any] | None:
    """Return the fields of a struct's schema by their names, None if the list is none."""
    for name in ("field", "name"):  # Connect's word, and Avro's.
        if nodes and all(isinstance(n, dict) and {name, "type"} <= n.keys() for n in nodes):
            return {node[name]: node for node in nodes}
    return None


def _documents(records: Sequence[Record], prefix: str) -> list[_Document]:
    return [_document(record, prefix) for record in records if not _is_own(record)]


def _is_own(record: Record) -> bool:
    """Tell whether it is what the producer itself wrote to the WAL, to Debezium a message."""
    key = record.key or b""
    return any(prefix.encode() in key for prefix in (HEARTBEAT_PREFIX, SNAPSHOT_PREFIX))


def _document(record: Record, prefix: str) -> _Document:
    key, value = _parsed(record.key, prefix), _parsed(record.value, prefix)
    payload = value.get("payload", value) if isinstance(value, dict) else value
    identity: tuple[Any, ...] = ("tombstone",) if payload is None else ("opaque",)
    lsn = None
    if isinstance(payload, dict):
        source = payload.get("source")
        source = source if isinstance(source, dict) else {}
        lsn = source.get("lsn")
        is_snapshot = source.get("snapshot") not in ("false", None)
        identity = (
            payload.get("op"),
            payload.get("status"),
            None if is_snapshot else lsn,
            # A transaction's id is that of the transaction and an LSN.
            str(payload.get("id")).partition(":")[0],
        )
        _blank(payload, source, is_snapshot=is_snapshot)
    key_payload = key.get("payload", key) if isinstance(key, dict) else key
    parts = {
        "partition": record.partition,
        "key": key,
        "value": value,
        "headers": {
            name: _UNCOMPARED if name in _OF_THE_RUN else _parsed(content, prefix)
            for name, content in record.headers
        },
    }
    is_heartbeat = isinstance(key_payload, dict) and key_payload.keys() == {"serverName"}
    return _Document(record.offset, (*identity, json.dumps(key_payload)), lsn, parts, is_heartbeat)


def _blank(payload: dict[str, Any], source: dict[str, Any], *, is_snapshot: bool) -> None:
    """Put a mark in place of what is not compared, where it is there at all."""
    # BEGIN and END have the time of the transaction.
    if "status" not in payload:
        _mark(payload, _TIMES)
    _mark(source, ("version",))
    if is_snapshot:
        _mark(source, (*_TIMES, "lsn", "txId", "sequence"))
    elif payload.get("op") == "m" and source.get("txId") is None:
        _mark(source, _TIMES)
    if isinstance(collections := payload.get("data_collections"), list):
        payload["data_collections"] = _counts(collections)


def _counts(collections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return END's counts by name, the messages of a transaction counted together."""
    counts: dict[str, Any] = {}
    for collection in collections:
        name, count = str(collection["data_collection"]), collection["event_count"]
        if name != MESSAGES and not _MESSAGE_OBJECT.match(name):
            counts[name] = count
            continue
        # Debezium takes each for a collection of its own, and its address for the name.
        messages = counts.setdefault(MESSAGES, {"name": name.partition("@")[0], "count": 0})
        messages["count"] += count
    return dict(sorted(counts.items()))


def _mark(struct: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if struct.get(name) is not None:
            struct[name] = _UNCOMPARED


def _parsed(content: bytes | None, prefix: str) -> Any:
    """Return JSON parsed and anything else as text, the side's prefix replaced."""
    if content is None:
        return None
    content = content.replace(prefix.encode(), b"*")
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("latin-1")


def _shown(document: _Document) -> str:
    return json.dumps(document.parts, ensure_ascii=False)
