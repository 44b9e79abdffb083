"""How the topics are made that the producer writes to. Pure.

Connect's properties topic.creation.*: a group `default`, and others that a topic belongs to by
its name. The first group that fits counts, `default` last.

Properties: Kafka Connect, "Configuring Auto Topic Creation for Source Connectors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.kafka_topics import TopicSpec

_PREFIX = "topic.creation."
_GROUPS = f"{_PREFIX}groups"
_ENABLE = f"{_PREFIX}enable"
_DEFAULT = "default"
_INHERITED = ("replication.factor", "partitions")
_NOT_CONFIG = {"include", "exclude", "replication.factor", "partitions"}


class TopicSpecs:
    """The specifications of the topics to make."""

    def __init__(self, max_message_bytes: int, creation: Mapping[str, str]) -> None:
        self._limit = {"max.message.bytes": str(max_message_bytes)}
        names = [name.strip() for name in creation.get(_GROUPS, "").split(",") if name.strip()]
        # What a group leaves out of these two it has from the default one.
        default = _group(creation, _DEFAULT)
        inherited = {name: default[name] for name in _INHERITED if name in default}
        self._groups = [(name, inherited | _group(creation, name)) for name in names]
        self._groups.append((_DEFAULT, default))

    def of(self, topic: str, partitions: int = -1, **config: str) -> TopicSpec:
        """Return how the topic is made; what is given here goes before the properties."""
        group: Mapping[str, str] = {}
        for name, candidate in self._groups:
            if name == _DEFAULT or _belongs(candidate, topic):
                group = candidate
                break
        if partitions < 0:
            partitions = int(group.get("partitions", partitions))
        extra = {name: value for name, value in group.items() if name not in _NOT_CONFIG}
        return TopicSpec(
            topic,
            partitions,
            {**self._limit, **extra, **{k.replace("_", "."): v for k, v in config.items()}},
            int(group.get("replication.factor", -1)),
        )


def _group(creation: Mapping[str, str], name: str) -> dict[str, str]:
    prefix = f"{_PREFIX}{name}."
    return {
        key.removeprefix(prefix): value
        for key, value in creation.items()
        if key.startswith(prefix) and key not in (_GROUPS, _ENABLE)
    }


def _belongs(group: Mapping[str, str], topic: str) -> bool:
    def matches(expressions: str) -> bool:
        return any(
            re.fullmatch(expression.strip(), topic)
            for expression in expressions.split(",")
            if expression.strip()
        )

    return matches(group.get("include", "")) and not matches(group.get("exclude", ""))
