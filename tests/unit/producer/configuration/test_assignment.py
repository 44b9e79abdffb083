"""Which setting a property is, and what becomes of those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.configuration.assigned import Assigned
from producer.configuration.assignment import assign
from producer.settings import ProducerSettings

KNOWN = ProducerSettings.properties()


def assigned(**properties: str) -> Assigned:
    return assign({name.replace("__", "."): value for name, value in properties.items()}, KNOWN)


def values(properties: dict[str, str]) -> dict[str, object]:
    found = assign(properties, KNOWN)
    assert not found.problems
    return {attribute: given.value for attribute, given in found.given.items()}


def test_a_property_is_the_setting_of_its_name() -> None:
    found = assigned(slot__name="orders")
    assert found.given["slot_name"].value == "orders"
    assert found.given["slot_name"].name == "slot.name"


def test_an_unknown_property_is_refused_with_the_nearest_name() -> None:
    problems = assigned(snapshot__modus="initial").problems
    assert problems == ["unknown property snapshot.modus; did you mean snapshot.mode?"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("plugin.name", "decoderbufs", "pgoutput"),
        ("transforms", "unwrap", "downstream"),
        ("converters", "isbn", "Java code"),
        ("topic.naming.strategy", "com.example.Mine", "Java code"),
        ("connector.class", "io.debezium.connector.mysql.MySqlConnector", "PostgreSQL"),
        ("database.sslfactory", "org.postgresql.ssl.NonValidatingFactory", "sslmode=require"),
        ("database.socketTimeout", "10", "libpq"),
        ("table.whitelist", "a", "table.include.list"),
        ("errors.tolerance", "all", "lose a change"),
        ("notification.enabled.channels", "sink", "in the log"),
        ("notification.enabled.channels", "log,jmx", "in the log"),
        ("exactly.once.support", "required", "at least once"),
        ("snapshot.mode.configuration.based.start.stream", "true", "cover"),
        ("internal.whatever", "1", "internal"),
        ("column.mask.hash.SHA-256.with.salt.pepper", "a", "v2"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter", "Java code"),
    ],
)
def test_what_would_change_events_is_refused_by_name_with_a_reason(
    name: str, value: str, says: str
) -> None:
    (problem,) = assign({name: value}, KNOWN).problems
    assert says in problem
    assert "pepper" not in problem


def test_the_parts_of_a_refused_family_are_told_once() -> None:
    problems = assigned(transforms="a", transforms__a__type="x", transforms__b__type="y").problems
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plugin.name", "pgoutput"),
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
        ("topic.naming.strategy", "io.debezium.schema.SchemaTopicNamingStrategy"),
        ("errors.tolerance", "none"),
        ("notification.enabled.channels", "log"),
        ("notification.enabled.channels", ""),
        ("transforms", ""),
    ],
)
def test_a_refused_property_is_accepted_where_it_asks_for_what_is_done_anyway(
    name: str, value: str
) -> None:
    found = assign({name: value}, KNOWN)
    assert not found.problems
    assert not found.notes


@pytest.mark.parametrize(
    "name",
    [
        "tasks.max",
        "name",
        "max.batch.size",
        "openlineage.x.y",
        "snapshot.fetch.size",
        "snapshot.tables.order.by.row.count",
        "incremental.snapshot.watermarking.strategy",
    ],
)
def test_a_property_without_effect_on_events_is_noted(name: str) -> None:
    found = assign({name: "1"}, KNOWN)
    assert not found.problems
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("name", "value", "attribute", "current"),
    [
        ("flush.lsn.source", "true", "lsn_flush_mode", "connector"),
        ("flush.lsn.source", "FALSE", "lsn_flush_mode", "manual"),
        ("snapshot.mode", "never", "snapshot_mode", "no_data"),
    ],
)  # fmt: skip
def test_what_debezium_replaced_is_read_as_what_it_is_now(
    name: str, value: str, attribute: str, current: str
) -> None:
    assert values({name: value}) == {"key_format": "json_schemas", "value_format": "json_schemas",
                                     attribute: current}  # fmt: skip


def test_rules_for_columns_are_one_setting() -> None:
    rules = {
        "column.mask.with.3.chars": "a",
        "column.truncate.to.5.chars": "b",
        "column.mask.hash.v2.SHA-256.with.salt.x.y": "c",
    }
    assert values(rules)["column_rules"] == rules


def test_topic_creation_is_one_setting() -> None:
    creation = {"topic.creation.groups": "a", "topic.creation.a.partitions": "3"}
    assert values(creation)["topic_creation"] == creation


def test_statements_for_snapshots_are_one_setting_by_table() -> None:
    listed = {
        "snapshot.select.statement.overrides": "s.t, s.u",
        "snapshot.select.statement.overrides.s.t": "SELECT 1",
        "snapshot.select.statement.overrides.s.u": "SELECT 2",
    }
    overrides = values(listed)["snapshot_select_statement_overrides"]
    assert overrides == {"s.t": "SELECT 1", "s.u": "SELECT 2"}


@pytest.mark.parametrize(
    "properties",
    [
        {"snapshot.select.statement.overrides": "s.t"},
        {"snapshot.select.statement.overrides.s.t": "SELECT 1"},
    ],
)
def test_a_statement_and_its_table_need_each_other(properties: dict[str, str]) -> None:
    (problem,) = assign(properties, KNOWN).problems
    assert problem.endswith("is missing")


@given(st.dictionaries(st.text(), st.text()))
def test_any_configuration_is_assigned_or_has_problems(properties: dict[str, str]) -> None:
    found = assign(properties, KNOWN)
    assert all(isinstance(problem, str) for problem in found.problems)
