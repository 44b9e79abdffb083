"""What a setting is in Debezium's configuration, and the forms its values have there. Pure.

A setting's attribute and environment variable follow from the property's name: slot.name is
`slot_name` and BEMI_PRODUCER_SLOT_NAME. Properties of this producer alone begin with `bemi.`,
which neither of the two repeats: bemi.publish.wal is `publish_wal` and
BEMI_PRODUCER_PUBLISH_WAL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

from producer.configuration.expressions import compile_expressions, split_list

OWN: Final = "bemi."
ENVIRONMENT: Final = "BEMI_PRODUCER_"


class Adopted(Enum):
    """When a setting that nobody gave has Debezium's default instead of the producer's."""

    WITH_FILE = auto()
    """A configuration written for Debezium means Debezium's defaults."""
    WITH_DEBEZIUM_VALUES = auto()
    """Debezium's default loses or falsifies what was stored, so it has to be asked for."""
    NEVER = auto()
    """Consumers cannot tell the two apart."""


@dataclass(frozen=True, slots=True)
class Property:
    """The Debezium property behind a setting; stands in the annotation of the field.

    `debezium` is what Debezium does when the property is absent, None where that is what the
    producer does. A required one has no default of Debezium's: a configuration file, or the
    environment, must give it.
    """

    name: str
    debezium: Any = None
    adopted: Adopted = Adopted.WITH_FILE
    required: bool = False

    @property
    def attribute(self) -> str:
        """Return the name of the setting's attribute."""
        return re.sub("[.-]", "_", self.name.removeprefix(OWN)).lower()

    @property
    def variable(self) -> str:
        """Return the environment variable, beside any that the field names itself."""
        return variable_of(self.name)


def variable_of(name: str) -> str:
    """Return the environment variable of a property."""
    return ENVIRONMENT + re.sub("[.-]", "_", name.removeprefix(OWN)).upper()


def checked(parse: Callable[[Any], object]) -> AfterValidator:
    """Return a validator that keeps a value as it was given if it can be parsed."""

    def check(value: object) -> object:
        parse(value)
        return value

    return AfterValidator(check)


def each_of(*words: str) -> AfterValidator:
    """Return a validator of a list that may hold these words only."""

    def check(value: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(item.lower() for item in value)
        unknown = [item for item in lowered if item not in words]
        if unknown:
            raise ValueError(f"{unknown[0]} is not there; it may be {', '.join(words)}")
        return lowered

    return AfterValidator(check)


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def _expressions(value: object) -> object:
    items = split_list(value) if isinstance(value, str) else value
    if isinstance(items, tuple):
        compile_expressions(items)
    return items


def _from_json(value: object) -> object:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is no JSON object") from None
    return value


# Kafka's ConfigDef trims everything but strings and passwords, and Debezium compares the words
# of an enumeration without regard to case.
Word: Final = BeforeValidator(_word)
Flag = Annotated[bool, BeforeValidator(_stripped)]
Count = Annotated[int, BeforeValidator(_stripped)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Expressions = Annotated[tuple[str, ...], BeforeValidator(_expressions)]
"""Regular expressions that can be used, not compiled."""
Named = Annotated[dict[str, str], BeforeValidator(_from_json)]
"""The properties of a family by their full names; a JSON object in the environment."""
