"""Start a stage as a process of the bench."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.servers import Servers
from deploy.local.process import ChildProcess


def start_stage(
    servers: Servers, name: str, argv: Sequence[str], environ: Mapping[str, str]
) -> ChildProcess:
    """Start the command of this environment; its log stays in the bench's folder."""
    commands = str(Path(sys.executable).parent)
    inherited = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
    path = os.pathsep.join([commands, os.environ.get("PATH", os.defpath)])
    stage = ChildProcess(
        name,
        argv,
        log_path=servers.folder / f"{name}.log",
        environ={**inherited, "PATH": path, "PYTHONUNBUFFERED": "1", **environ},
    )
    stage.start()
    return stage
