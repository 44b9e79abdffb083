"""Connections to PostgreSQL: what libpq is told, and what its texts mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.destination import DestinationDatabase
from runtime.postgres import connection_parameters, refusal_advice
from runtime.settings import InvalidSettings, SourceDatabase

FAILED = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('FATAL:  password authentication failed for user "app"', ["USER", "PASSWORD", "SSLCERT"]),
        ("fe_sendauth: no password supplied", ["PASSWORD"]),
        ('FATAL:  role "app" does not exist', ["USER"]),
        ('FATAL:  database "shop" does not exist', ["NAME"]),
        ('FATAL:  permission denied for database "shop"', ["USER", "NAME"]),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "app"', ["pg_hba", "SSLMODE"]),
        ('FATAL:  pg_hba.conf rejects connection for host "10.0.0.1"', ["pg_hba", "SSLMODE"]),
        ("SSL error: certificate verify failed", ["SSLROOTCERT"]),
        ('server certificate for "db" does not match host name "x"', ["HOST"]),
        ('root certificate file "/nope.pem" does not exist', ["SSLROOTCERT"]),
        ('could not read root certificate file "/etc/hosts": no certificate', ["SSLROOTCERT"]),
        ('private key file "/key" has group or world access', ["SSLKEY"]),
        ('could not load private key file "/key": key values mismatch', ["SSLKEY"]),
        ('certificate present, but not private key file "/key"', ["SSLKEY"]),
        ("FATAL:  connection requires a valid client certificate", ["SSLCERT", "SSLKEY"]),
        ('FATAL:  certificate authentication failed for user "app"', ["SSLCERT"]),
        ("SSL error: ssl/tls alert certificate expired", ["SSLCERT", "expired"]),
        ("SSL error: tlsv1 alert unknown ca", ["SSLCERT", "signed by"]),
        ("server does not support SSL, but SSL was required", ["SSLMODE"]),
    ],
)
def test_a_connection_that_only_a_person_can_mend_is_told_with_what_to_check(
    text: str, names: list[str]
) -> None:
    advice = refusal_advice(FAILED + text, "DESTINATION_DB_")
    assert advice is not None
    assert all(name in advice for name in names)
    assert "{" not in advice


@pytest.mark.parametrize(
    "text",
    [
        "Connection refused",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        'FATAL:  terminating connection due to administrator command "role"',
        "timeout expired",
        "SSL SYSCALL error: EOF detected",
    ],
)
def test_a_connection_that_may_heal_needs_no_advice(text: str) -> None:
    assert refusal_advice(FAILED + text, "DB_") is None


def test_the_destination_takes_the_sources_certificates_unless_it_has_its_own() -> None:
    shared = {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "/ca.pem", "DB_SSLCERT": "/source.crt"}
    own = {"DESTINATION_DB_SSLCERT": "/own.crt", "DESTINATION_DB_SSLPASSWORD": "hunter2"}
    source = connection_parameters(SourceDatabase.from_environ(shared))
    assert (source["sslrootcert"], source["sslcert"]) == ("/ca.pem", "/source.crt")
    assert "sslkey" not in source
    destination = DestinationDatabase.from_environ(shared | own)
    assert connection_parameters(destination) == {
        "host": "127.0.0.1",
        "port": 5432,
        "dbname": "postgres",
        "user": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "sslcert": "/own.crt",
        "sslpassword": "hunter2",
    }
    assert "hunter2" not in repr(destination)


def test_an_sslmode_that_libpq_does_not_know_is_refused_before_connecting() -> None:
    with pytest.raises(InvalidSettings, match=r"DB_SSLMODE.*verify-full"):
        SourceDatabase.from_environ({"DB_SSLMODE": "nonsense"})


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca"])
@pytest.mark.parametrize(
    ("settings", "prefix"), [(SourceDatabase, "DB_"), (DestinationDatabase, "DESTINATION_DB_")]
)
def test_all_public_authorities_are_trusted_only_where_the_name_is_checked(
    settings: type[SourceDatabase | DestinationDatabase], prefix: str, mode: str
) -> None:
    environ = {f"{prefix}SSLROOTCERT": "system", f"{prefix}SSLMODE": mode}
    with pytest.raises(InvalidSettings, match=f"{prefix}SSLMODE=verify-full, not {mode}"):
        settings.from_environ(environ)


def test_a_folder_of_authorities_is_left_to_libpq_which_takes_only_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system = {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "system"}
    settings = SourceDatabase.from_environ(system)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert connection_parameters(settings)["sslrootcert"] == "system"
    monkeypatch.setenv("SSL_CERT_FILE", "/mine.pem")
    assert connection_parameters(settings)["sslrootcert"] == "/mine.pem"
