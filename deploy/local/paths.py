"""Where the things are that local servers are made of and write to."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
STATE = REPOSITORY / ".bemi"
# The folder of this environment's console scripts.
SCRIPTS = Path(sys.executable).parent
