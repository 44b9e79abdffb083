"""Where a schema registry is, and how it is asked. Pure.

Apart from `schema_registry`, whose client is heavy and not always there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where a registry is, who asks and what it may do there."""

    url: str
    """One or more, with commas between; the next is tried when one does not answer."""
    user_info: str | None = None
    """`user:password`."""
    auto_register_schemas: bool = True
    normalize_schemas: bool = False
    ca_location: str | None = None
    """PEM file of the authorities that sign the registry's certificate."""
    certificate_location: str | None = None
    """PEM file of the stage's own certificate, with its key unless that is apart."""
    key_location: str | None = None
    key_password: str | None = None

    @property
    def address(self) -> str:
        """Return the url without the password that it may hold, for messages."""
        return re.sub(r"//[^/@,]*@", "//", self.url)

    @property
    def client_properties(self) -> dict[str, object]:
        """Return what Confluent's client is configured with."""
        properties = {
            "url": self.url,
            "basic.auth.user.info": self.user_info,
            "ssl.ca.location": self.ca_location,
            "ssl.certificate.location": self.certificate_location,
            "ssl.key.location": self.key_location,
            "ssl.key.password": self.key_password,
        }
        return {name: value for name, value in properties.items() if value is not None}
