"""Avro has the schemas, and with them the bytes, of a Connect worker's converter."""

from __future__ import annotations

import pytest

from tests.differential.configurations import avro_configurations
from tests.differential.conftest import Outcomes, assert_no_difference

NAMES = [configuration.name for configuration in avro_configurations({})]


@pytest.mark.parametrize("name", NAMES)
def test_values_in_avro_are_those_of_debezium(name: str, streamed_values: Outcomes) -> None:
    assert_no_difference([streamed_values[name]])


@pytest.mark.parametrize("name", NAMES)
def test_events_in_avro_are_those_of_debezium(name: str, events: Outcomes) -> None:
    assert_no_difference([events[name]])
