"""Avro has the schemas, and with them the bytes, of a Connect worker's converter."""

from __future__ import annotations

import pytest

from deploy.local.registry import LocalRegistry
from tests.differential.configurations import READABLE, Configuration, configuration
from tests.differential.conftest import Compare, assert_no_difference
from tests.differential.event_script import event_steps
from tests.differential.script import in_rounds, kind_steps, tables_of_kinds


def configurations(registry: LocalRegistry) -> list[Configuration]:
    """Return configurations whose names Avro can hold."""
    avro = {
        **registry.converter_properties("key"),
        **registry.converter_properties("value"),
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro",
    }
    readable = {k: v for k, v in READABLE.properties.items() if ".schemas.enable" not in k}
    return [configuration("avro-defaults", avro), configuration("avro-readable", readable, avro)]


@pytest.mark.parametrize("script", ["values", "events"])
def test_avro_records_are_those_of_debezium(
    script: str, compare: Compare, registry_server: LocalRegistry
) -> None:
    registry_server.start()
    with compare(configurations(registry_server), registry_server.url) as comparison:
        comparison.sides.start()
        if script == "events":
            comparison.sides.run(event_steps())
        else:
            tables = tables_of_kinds(comparison.kinds)
            comparison.sides.run(in_rounds([kind_steps(*table) for table in tables]))
        outcomes = comparison.outcomes().values()
    assert_no_difference(outcomes)
