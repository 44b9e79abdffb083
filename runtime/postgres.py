"""Connect to PostgreSQL: what libpq is told, and what to do where it is not let in.

libpq has no code for a connection that fails, only a text, so the text decides. A server that
speaks another language is not understood: then the connection is tried again, with its words in
the log.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.system_authorities import system_authorities

if TYPE_CHECKING:
    from runtime.destination import DestinationDatabase
    from runtime.settings import SourceDatabase

_LOGIN = "check {0}USER and {0}PASSWORD, and that {0}SSLCERT, where there is one, names that role"
_CERTIFICATE = (
    "check {0}SSLCERT and {0}SSLKEY: both files must be there, signed by whom the server trusts, "
    "for this role and not expired (openssl x509 -noout -subject -dates -in FILE)"
)
_KEY = "check {0}SSLCERT and {0}SSLKEY"
_SERVER = (
    "the server's certificate must be signed by {0}SSLROOTCERT, not be expired and, with "
    "{0}SSLMODE=verify-full, name {0}HOST"
)
_ENTRY = (
    "let this role in by the server's pg_hba.conf, or check {0}SSLMODE if it asks for encryption"
)
_ADVICE: Final = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        ("password authentication failed|no password supplied", _LOGIN),
        ("is not permitted to log in", _LOGIN),
        (r'role ".*" does not exist', _LOGIN),
        (r'FATAL: +database ".*" does not exist', "check {0}NAME"),
        ("permission denied for database", "let {0}USER connect to {0}NAME"),
        ("no pg_hba.conf entry|pg_hba.conf rejects", _ENTRY),
        ("certificate verify failed|does not match host name", _SERVER),
        ("root certificate file", "check {0}SSLROOTCERT, or SSL_CERT_FILE if that is `system`"),
        ("private key file", _KEY),
        ("could not read certificate file", _KEY),
        ("valid client certificate|certificate authentication failed", _CERTIFICATE),
        (r"alert (unknown ca|.*certificate)", _CERTIFICATE),
        ("server does not support SSL", "turn ssl on on the server, or set {0}SSLMODE=prefer"),
    )
)


SYSTEM: Final = "system"
"""The sslrootcert that stands for the system's authorities."""


def connection_parameters(settings: SourceDatabase | DestinationDatabase) -> dict[str, Any]:
    """Return libpq's parameters of a connection, without what is unset.

    They hold the password: they are not to be logged.
    """
    parameters: dict[str, Any] = {
        "host": settings.db_host,
        "port": settings.db_port,
        "dbname": settings.db_name,
        "user": settings.db_user,
        "password": settings.db_password.get_secret_value(),
        "sslmode": settings.db_sslmode,
        "sslrootcert": _authorities(settings.db_sslrootcert),
        "sslcert": settings.db_sslcert,
        "sslkey": settings.db_sslkey,
        "sslpassword": settings.db_sslpassword.get_secret_value(),
    }
    return {name: value for name, value in parameters.items() if value}


def trust_problem(sslmode: str, sslrootcert: str, variables: str) -> str | None:
    """Return why the two do not go together, None where they do.

    libpq's rule: whoever has a certificate of any authority at all could pass for the server
    unless its name is checked, too.
    """
    if sslrootcert != SYSTEM or sslmode == "verify-full":
        return None
    return (
        f"{variables}SSLROOTCERT=system trusts every public authority, so it needs "
        f"{variables}SSLMODE=verify-full, not {sslmode}; or leave {variables}SSLROOTCERT empty"
    )


def _authorities(sslrootcert: str) -> str:
    """Return the file for `system`: what libpq itself takes for it depends on its build."""
    found = system_authorities() if sslrootcert == SYSTEM else None
    # A folder is nothing that libpq can be given; its OpenSSL finds it by SSL_CERT_DIR.
    return sslrootcert if found is None or Path(found).is_dir() else found


def refusal_advice(text: str, variables: str) -> str | None:
    """Return what a person must do about a connection that failed so, None where it may heal.

    `variables` is what the settings of this database begin with: DB_, DESTINATION_DB_.
    """
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), None)
    return None if advice is None else advice.format(variables)
