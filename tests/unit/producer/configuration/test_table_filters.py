"""What is captured, and what a row is keyed by. The expected results are the connector's own."""

from __future__ import annotations

from typing import Any

import pytest

from producer.configuration.table_filters import (
    TableFilters,
    parse_replica_identities,
    replica_identity_of,
)
from producer.settings import ProducerSettings
from runtime.settings import Given, InvalidSettings


def filters(**values: Any) -> TableFilters:
    given = {name: Given(name, value) for name, value in values.items()}
    return TableFilters.of(ProducerSettings.of(given))


@pytest.mark.parametrize(
    ("lists", "captured"),
    [
        ({}, {"public.t", "public.u", "audit.t"}),
        ({"table_include_list": "public.t"}, {"public.t"}),
        ({"table_exclude_list": r".*\.t"}, {"public.u"}),
        ({"schema_include_list": "PUBLIC"}, {"public.t", "public.u"}),
        ({"schema_exclude_list": "public"}, {"audit.t"}),
        ({"schema_include_list": "public", "table_include_list": ".*[.]t"}, {"public.t"}),
        ({"schema_exclude_list": "audit", "table_exclude_list": "public.u"}, {"public.t"}),
    ],
)
def test_tables_are_captured_by_their_schema_and_their_name(
    lists: dict[str, str], captured: set[str]
) -> None:
    chosen = filters(**lists)
    tables = [("public", "t"), ("public", "u"), ("audit", "t")]
    assert {f"{s}.{t}" for s, t in tables if chosen.captures_table(s, t)} == captured


@pytest.mark.parametrize(
    ("pg_schema", "table"),
    [("public", "spatial_ref_sys"), ("pg_catalog", "pg_class"), ("pg_temp_3", "t")],
)
def test_builtin_tables_are_left_out_where_that_is_asked_for(pg_schema: str, table: str) -> None:
    assert filters(table_ignore_builtin="false").captures_table(pg_schema, table)
    assert not filters(table_ignore_builtin="true").captures_table(pg_schema, table)


def test_columns_are_chosen_by_their_full_name() -> None:
    excluding = filters(column_exclude_list=r"public\.t\.secret,.*\.password")
    names = ["id", "secret", "password"]
    assert [n for n in names if excluding.captures_column("public", "t", n)] == ["id"]
    assert excluding.captures_column("public", "u", "secret")
    including = filters(column_include_list="public.t.id")
    assert [n for n in names if including.captures_column("public", "t", n)] == ["id"]


def test_messages_are_chosen_by_their_prefix() -> None:
    assert filters(message_prefix_include_list="_bemi").captures_message("_bemi")
    assert not filters(message_prefix_include_list="_bemi").captures_message("other")
    assert not filters(message_prefix_exclude_list="other.*").captures_message("other2")


@pytest.mark.parametrize(
    "name", ["schema_{}_list", "table_{}_list", "column_{}_list", "message_prefix_{}_list"]
)
def test_a_name_cannot_be_both_included_and_excluded(name: str) -> None:
    with pytest.raises(InvalidSettings, match="exclude each other"):
        filters(**{name.format("include"): "a", name.format("exclude"): "b"})


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("", ()),
        ("public.t:b", ("b",)),
        ("public.t:b,a", ("b", "a")),
        ("other.t:b", ()),
        ("(.*).t:a;public.t:c,a", ("a", "c")),
        ("public.t:.*", ("a", "b", "c")),
        (" public.t:b ; other:c", ("b",)),
    ],
)
def test_key_columns_are_in_the_order_of_the_setting(setting: str, key: tuple[str, ...]) -> None:
    chosen = filters(message_key_columns=setting)
    assert chosen.key_columns("public", "t", ["a", "b", "c"]) == key


@pytest.mark.parametrize("setting", ["public.t", "public.t:", ":a", "t:a:b", "t:a,,b"])
def test_a_malformed_key_is_refused(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="table:column"):
        filters(message_key_columns=setting)


@pytest.mark.parametrize(
    ("setting", "letters"), [("none", ""), ("t", "t"), ("c, U ,d", "cud"), ("", "")]
)
def test_operations_to_skip_are_given_by_their_letters(setting: str, letters: str) -> None:
    given = {"skipped_operations": Given("skipped_operations", setting)}
    assert ProducerSettings.of(given).skipped_operations == tuple(letters)


@pytest.mark.parametrize("setting", ["x", "none,t", "insert"])
def test_an_operation_that_does_not_exist_is_refused(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="none"):
        filters(skipped_operations=setting)


def test_replica_identities_are_told_by_the_tables_name() -> None:
    identities = parse_replica_identities(r"public\..*:FULL, audit.t:index t_key,x.y:nothing")
    full = replica_identity_of(identities, "public", "t")
    index = replica_identity_of(identities, "audit", "t")
    assert full is not None
    assert full.identity == "FULL"
    assert index is not None
    assert (index.identity, index.index) == ("INDEX", "t_key")
    assert replica_identity_of(identities, "other", "t") is None


def test_two_replica_identities_for_one_table_are_refused() -> None:
    identities = parse_replica_identities("public.*:FULL,.*t:DEFAULT")
    with pytest.raises(InvalidSettings, match="more than once"):
        replica_identity_of(identities, "public", "t")


@pytest.mark.parametrize("setting", ["public.t", "public.t:ALL", "public.t:INDEX"])
def test_a_malformed_replica_identity_is_refused(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="FULL"):
        filters(replica_identity_autoset_values=setting)
