"""Write docs/settings.md from the settings themselves: `python -m docs.settings_page`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from producer.configuration import kafka_client, unused
from producer.configuration.property import OWN, Adopted, Property
from producer.settings import ProducerSettings
from runtime.settings import StageSettings
from sink_pg.settings import SinkSettings
from stitcher_stream.settings import StitcherSettings

PAGE = Path(__file__).with_name("settings.md")
STAGES: dict[str, type[StageSettings]] = {
    "Producer (`bemi-producer`)": ProducerSettings,
    "Stitcher (`bemi-stitcher`)": StitcherSettings,
    "Sink (`bemi-sink`)": SinkSettings,
}
INTRODUCTION = """\
# Settings

Every setting is an environment variable. Any of them may be given as a file instead: `NAME_FILE`
holds the path (secrets belong there). A misspelt `BEMI_*` name is refused at the start. This page
is made by `python -m docs.settings_page` and a test compares it.
"""
PRODUCER = """
The producer also reads a configuration written for Debezium as it is: `bemi-producer --config
FILE`, or `BEMI_PRODUCER_CONFIG_FILE`. The file is a connector's configuration for Kafka Connect, as
Java properties or as JSON, with or without the worker's own properties, or Debezium Server's
`application.properties`. `${env:NAME}`, `${file:PATH:KEY}` and `${dir:PATH:NAME}` are replaced.
The environment goes before the file. `--config` may be given again, a worker's file before the
connector's; in the variable the paths stand with `:` between them.

There are two sets of defaults. Without a file they are those of an audit trail that people read
(column Default). With a file, what it leaves out is as Debezium has it (column With a file), except
where Debezium's default loses or falsifies what was stored: those need
`bemi.debezium.values=true` or the property itself (marked *false values*).

`key.converter` and `value.converter` may be JsonConverter, Confluent's AvroConverter or Apicurio's
(with `apicurio.registry.as-confluent=true`); their own properties are followed or refused. Without
one it is JsonConverter with schemas, Connect's default.

A property that begins with `bemi.` is the producer's own; a file may have it too.

| Property | Variable | Default | With a file | Meaning |
|---|---|---|---|---|
"""
UNUSED = """
### Properties of Debezium and Connect that are refused

A value that asks for what is done anyway is accepted; any other stops the producer at its start,
as an unknown property does, with the reason.

| Property | Accepted | Why |
|---|---|---|
"""
IGNORED = """
### Properties that are accepted and not used

Events are the same without them; each is a line in the log.

| Properties | Why |
|---|---|
"""
CLIENT = """
### Kafka's client

`producer.override.*` (before `producer.*`, before the worker's own) and Debezium Server's
`debezium.sink.kafka.producer.*` become the settings above or librdkafka's properties
(`bemi.kafka.properties`). Of the others these are refused unless the value is the accepted one, and
those that librdkafka lacks are refused by name.

| Property | Accepted | Why |
|---|---|---|
"""


def render() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for title, settings in STAGES.items():
        parts.append(f"\n## {title}\n")
        parts += _producer() if settings is ProducerSettings else _stage(settings)
    return "".join(parts)


def _stage(settings: type[StageSettings]) -> Iterable[str]:
    yield "\n| Variable | Default | Meaning |\n|---|---|---|\n"
    for name, variables in settings.environment_names().items():
        field = settings.model_fields[name]
        yield f"| {_names(variables)} | {_value(field.default)} | {field.description} |\n"


def _producer() -> Iterable[str]:
    yield PRODUCER
    properties = ProducerSettings.properties()
    ordered = sorted(properties, key=lambda name: properties[name].name.startswith(OWN))
    variables = ProducerSettings.environment_names()
    for name in ordered:
        field, prop = ProducerSettings.model_fields[name], properties[name]
        columns = (
            f"`{prop.name}`",
            _names(variables[name]),
            _value(field.default),
            _with_file(prop, field.default),
            field.description,
        )
        yield f"| {' | '.join(map(str, columns))} |\n"
    yield UNUSED
    for entry in unused.REFUSED:
        yield f"| `{entry.name}` | {_names(entry.accepted or ())} | {entry.reason} |\n"
    yield CLIENT
    for entry in kafka_client.UNUSED:
        if entry.accepted is not None:
            yield f"| `{entry.name}` | {_names(entry.accepted)} | {entry.reason} |\n"
    yield IGNORED
    reasons: dict[str, list[str]] = {}
    for entry in unused.IGNORED:
        reasons.setdefault(entry.reason, []).append(f"`{entry.name}`")
    for reason, names in reasons.items():
        yield f"| {', '.join(names)} | {reason} |\n"


def _with_file(prop: Property, default: object) -> str:
    if prop.required:
        return "must be given"
    if prop.debezium is None or prop.adopted is Adopted.NEVER:
        return _value(default)
    if prop.adopted is Adopted.WITH_DEBEZIUM_VALUES:
        return f"{_value(default) or '`none`'}; *false values*: {_value(prop.debezium)}"
    return _value(prop.debezium)


def _names(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _value(value: object) -> str:
    if isinstance(value, SecretStr) or value in ("", None, (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render())
