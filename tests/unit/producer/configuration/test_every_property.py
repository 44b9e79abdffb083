"""Each property that Debezium declares is a setting, or its absence has a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.configuration import unused
from producer.configuration.property import Adopted, Property
from producer.settings import ProducerSettings

DECLARED: dict[str, str] = {}
for line in Path(__file__).with_name("debezium_properties.tsv").read_text().splitlines():
    if not line.startswith("#"):
        name, _, default = line.partition("\t")
        DECLARED[name] = default

# Debezium declares the families by expressions.
FAMILIES = {name for name in DECLARED if name.startswith(("column.mask", "column.truncate"))}
SETTINGS = {prop.name: attribute for attribute, prop in ProducerSettings.properties().items()}
# What else is done where the property is absent, and why its default is not Debezium's.
OTHER_DEFAULTS = {
    "flush.lsn.source": "an older form of lsn.flush.mode",
    "internal.slot.seek.to.known.offset.on.start": "an older form of offset.mismatch.strategy",
    "lsn.flush.mode": "declared without the default that its description has",
    "signal.file": "declared without the default that its description has",
}


def default_with_file(prop: Property) -> object:
    field = ProducerSettings.model_fields[SETTINGS[prop.name]]
    return field.default if prop.debezium is None else prop.debezium


@pytest.mark.parametrize("name", sorted(DECLARED.keys() - FAMILIES))
def test_the_property_is_known(name: str) -> None:
    known = name in SETTINGS or unused.find(name) is not None
    assert known or name in OTHER_DEFAULTS, f"{name} is neither a setting nor in unused.py"


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() & DECLARED.keys() - OTHER_DEFAULTS.keys()))
def test_the_default_is_the_one_debezium_declares(name: str) -> None:
    prop = ProducerSettings.properties()[SETTINGS[name]]
    default = default_with_file(prop)
    text = ",".join(default) if isinstance(default, tuple) else str(default)
    if isinstance(default, bool):
        text = text.lower()
    declared = "" if DECLARED[name] == "null" else DECLARED[name].lower()
    secret = text.startswith("*") or default == {}
    assert prop.required or secret or text == declared


@pytest.mark.parametrize("entry", unused.REFUSED, ids=lambda entry: entry.name)
def test_a_refused_property_may_have_the_value_that_debezium_has_without_it(
    entry: unused.Unused,
) -> None:
    default = DECLARED.get(entry.name, "null")
    # The one default that cannot be had: the plugin is not part of PostgreSQL.
    assert default == "null" or entry.name == "plugin.name" or entry.accepts(default)


def test_no_property_is_both_a_setting_and_unused() -> None:
    assert not [name for name in SETTINGS if any(name == e.name for e in unused.UNUSED)]


def test_the_attribute_and_the_variable_follow_from_the_name() -> None:
    for attribute, prop in ProducerSettings.properties().items():
        names = ProducerSettings.environment_names()[attribute]
        assert prop.variable in names
        assert attribute == prop.attribute or len(names) > 1, prop.name


def test_defaults_that_falsify_are_adopted_on_request_only() -> None:
    on_request = {
        attribute
        for attribute, prop in ProducerSettings.properties().items()
        if prop.adopted is Adopted.WITH_DEBEZIUM_VALUES
    }
    assert on_request == {
        "event_converting_failure_handling_mode",
        "include_unknown_datatypes",
        "replace_null_with_default",
        "skipped_operations",
    }
