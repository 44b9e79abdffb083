"""Make Django ready before the tests of this folder import it."""

from __future__ import annotations

from tests.django_site import configure

configure()
