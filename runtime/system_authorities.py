"""Which authorities this system trusts, named so that every client finds them. Edge: files.

The clients carry an OpenSSL each, and each looks elsewhere: psycopg's wheel in a folder that no
system has (/usr/lib/psycopg-openssl), librdkafka's wherever a distribution may keep them but not
where SSL_CERT_FILE says, Python's in the folder it was built for. So nobody is left to look.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch.
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL.
    "/etc/pki/tls/certs/ca-bundle.crt",  # The same, older.
    "/etc/ssl/ca-bundle.pem",  # SUSE.
    "/etc/ssl/cert.pem",  # macOS, BSD.
)


def system_authorities(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the file, or the folder, of the certificates to trust where no setting names one.

    What SSL_CERT_FILE or SSL_CERT_DIR names goes first, as with every OpenSSL, and is not replaced
    where it is not there: trusting others than those would be worse than trusting nobody. Else it
    is a file in which the system has them all. None where it has none.
    """
    environ = os.environ if environ is None else environ
    if given := environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        return given
    candidates = (ssl.get_default_verify_paths().openssl_cafile, *BUNDLES)
    return next((path for path in candidates if Path(path).is_file()), None)
