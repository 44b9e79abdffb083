"""Whom every client trusts where no setting says it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from runtime.system_authorities import BUNDLES, system_authorities


@pytest.mark.parametrize(
    ("environ", "trusted"),
    [
        ({"SSL_CERT_FILE": "/mine.pem"}, "/mine.pem"),
        ({"SSL_CERT_DIR": "/mine"}, "/mine"),
        ({"SSL_CERT_FILE": "/mine.pem", "SSL_CERT_DIR": "/mine"}, "/mine.pem"),
    ],
)
def test_what_the_environment_names_is_trusted_and_nobody_else(
    environ: dict[str, str], trusted: str
) -> None:
    assert not Path(trusted).exists()
    assert system_authorities(environ) == trusted


def test_the_systems_own_list_is_a_file_that_openssl_can_read() -> None:
    found = system_authorities({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""})
    if found is None:
        assert not any(Path(path).is_file() for path in BUNDLES)
    else:
        assert ssl.create_default_context(cafile=found).get_ca_certs()
