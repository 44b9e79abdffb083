"""What something costs: time, processor time and bytes of WAL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection


def cost_of(work: Callable[[], Any]) -> dict[str, float]:
    """Do it and return `seconds`, `cpu_seconds` and `wal_bytes`.

    The processor's time is this process's and its PostgreSQL backend's: what else the machine
    does is seen in `seconds` only. Nobody else may write to the server meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_current_wal_insert_lsn()")
        pid, before = cursor.fetchone()
        # Nanoseconds on a processor: the manual page of /proc, "schedstat".
        backend = Path(f"/proc/{pid}/schedstat")
        cpu_before = time.process_time() + int(backend.read_text().split()[0]) / 1e9
        started_at = time.perf_counter()
        work()
        seconds = time.perf_counter() - started_at
        cpu = time.process_time() + int(backend.read_text().split()[0]) / 1e9
        cursor.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [before])
        (wal_bytes,) = cursor.fetchone()
    return {
        "seconds": seconds,
        "cpu_seconds": cpu - cpu_before,
        "wal_bytes": int(wal_bytes),
    }
