"""Read Debezium Server's application.properties as a connector's configuration. Pure.

Its `debezium.source.*` are the connector's properties, `debezium.format.*` the converters', and
`debezium.sink.kafka.producer.*` the Kafka client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from producer.configuration.assigned import Assigned

_SERVER: Final = "debezium."
_SOURCE: Final = "debezium.source."
_FORMAT: Final = "debezium.format."
_SINK: Final = "debezium.sink."
_KAFKA: Final = "debezium.sink.kafka.producer."
_CONVERTERS: Final = {
    "json": "org.apache.kafka.connect.json.JsonConverter",
    "avro": "io.confluent.connect.avro.AvroConverter",
}


def is_of_server(properties: Mapping[str, str]) -> bool:
    """Tell whether the properties are Debezium Server's rather than a connector's."""
    return any(name.startswith(_SOURCE) for name in properties)


def as_connector(properties: Mapping[str, str], assigned: Assigned) -> dict[str, str]:
    """Return the connector's configuration; what belongs to the server alone is noted."""
    found: dict[str, str] = {}
    for name, value in properties.items():
        if name.startswith(_SOURCE):
            found[name.removeprefix(_SOURCE)] = value
        elif name.startswith(_FORMAT):
            found |= _converter(name.removeprefix(_FORMAT), value, assigned)
        elif name.startswith(_KAFKA):
            found[f"producer.override.{name.removeprefix(_KAFKA)}"] = value
        elif name.startswith(_SINK):
            _check_sink(name, value, assigned)
        elif name.startswith(_SERVER):
            found[name.removeprefix(_SERVER)] = value
        else:
            assigned.notes.append(f"{name} is not used: it belongs to Debezium Server's process")
    return found


def _converter(name: str, value: str, assigned: Assigned) -> dict[str, str]:
    side, _, rest = name.partition(".")
    if side in ("key", "value", "header") and not rest:
        if side == "header":
            return {}
        converter = _CONVERTERS.get(value.strip().lower())
        if converter is None:
            assigned.problems.append(f"{_FORMAT}{name} is refused: only json and avro are written")
            return {}
        return {f"{side}.converter": converter}
    if side in ("key", "value", "header"):
        return {f"{side}.converter.{rest}": value} if side != "header" else {}
    return {f"key.converter.{name}": value, f"value.converter.{name}": value}


def _check_sink(name: str, value: str, assigned: Assigned) -> None:
    if name == "debezium.sink.type" and value.strip() == "kafka":
        return
    assigned.problems.append(f"{name} is refused: changes are written to Kafka alone")
