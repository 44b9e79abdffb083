"""What `python -m bench django` compares, and how it is told what each of them recorded.

Ours and bemi-django have the same import name, so each contender runs in a Python of its own
choice: this one, or an environment under `.bemi` into which the peers are installed once.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.measure import print_progress
from deploy.local.paths import STATE

PEERS = {
    "bemi-django": ["bemi-django==0.1.3"],
    "peers": [
        "django-auditlog==3.4.1",
        "django-pghistory==3.9.2",
        "django-pgtrigger==4.17.0",
        "django-simple-history==3.13.0",
    ],
}
"""What is installed into which environment."""

# In the stream of changes: those that came behind a context in their own transaction.
FROM_WAL = """
    SELECT count(*) FILTER (WHERE data LIKE 'table public.site_order: %%' AND contexts > 0)
    FROM (
        SELECT data, count(*) FILTER (
            WHERE data LIKE 'message: transactional: 1 prefix: \\_bemi%%'
        ) OVER (PARTITION BY xid::text ORDER BY number) AS contexts
        FROM (
            SELECT xid, data, row_number() OVER () AS number
            FROM pg_logical_slot_get_changes(%(slot)s, NULL, NULL)
        ) AS stream
    ) AS changes
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to track, or not to track, the site's changes."""

    name: str
    tracking: str  # What the site's settings know it by.
    environment: str | None = None  # One of PEERS; None for this Python.
    is_identity_full: bool = False  # Its table gets REPLICA IDENTITY FULL from the bench.
    count_records: str | None = None  # SQL; None where nothing is recorded.
    history: str | None = None  # The tables that its records are in.

    @property
    def database(self) -> str:
        """Name its database."""
        return "bench_" + re.sub("[^a-z]+", "_", self.name.lower())


BASE = "plain, FULL"
BASE_AGAIN = "plain, FULL again"
OURS = "django-bemi"
CONTENDERS = [
    Contender("plain", "plain"),
    Contender(BASE, "plain", is_identity_full=True),
    Contender(BASE_AGAIN, "plain", is_identity_full=True),
    Contender(OURS, "bemi", count_records=FROM_WAL),
    Contender(f"{OURS}, whole SQL", "bemi-whole-sql", count_records=FROM_WAL),
    Contender(f"{OURS} without SQL", "bemi-without-sql", count_records=FROM_WAL),
    Contender("bemi-django", "bemi", "bemi-django", is_identity_full=True, count_records=FROM_WAL),
    Contender(
        "pghistory by row",
        "pghistory-row",
        "peers",
        count_records="SELECT count(*) FROM django_site_orderevent",
        history="django_site_orderevent, pghistory_context",
    ),
    Contender(
        "pghistory by statement",
        "pghistory-statement",
        "peers",
        count_records="SELECT count(*) FROM django_site_orderevent",
        history="django_site_orderevent, pghistory_context",
    ),
    Contender(
        "simple-history",
        "simple-history",
        "peers",
        count_records="SELECT count(*) FROM django_site_historicalorder",
        history="django_site_historicalorder",
    ),
    Contender(
        "auditlog",
        "auditlog",
        "peers",
        count_records="SELECT count(*) FROM auditlog_logentry",
        history="auditlog_logentry",
    ),
]


def python_of(contender: Contender) -> Path:
    """Return the Python that has the contender, installing it where it is not there yet.

    With the same versions of Django and psycopg as this Python's.
    """
    if contender.environment is None:
        return Path(sys.executable)
    folder = STATE / "bench-django" / contender.environment
    python = folder / "bin" / "python"
    wanted = [
        *PEERS[contender.environment],
        f"Django=={version('django')}",
        f"psycopg[binary]=={version('psycopg')}",
    ]
    marker = folder / "installed.txt"
    if not marker.exists() or marker.read_text().splitlines() != wanted:
        print_progress(f"installing {', '.join(wanted)}")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        marker.write_text("\n".join(wanted))
    return python
