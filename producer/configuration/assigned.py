"""What a configuration was found to say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.settings import Given


@dataclass(slots=True)
class Assigned:
    """Values by attribute, and what has to be said of the rest."""

    given: dict[str, Given] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Properties that are not used, each with the reason."""
    problems: list[str] = field(default_factory=list)
    """Why the configuration cannot be used."""

    def give(self, attribute: str, value: Given) -> None:
        """Give a setting its value."""
        self.given[attribute] = value

    def give_in_family(self, attribute: str, name: str, value: str, whole_name: str) -> None:
        """Add one property to those that are a setting together."""
        self.given.setdefault(attribute, Given(whole_name, {})).value[name] = value
