"""How Java runs here, for servers that live as long as a laptop's session or a test."""

from __future__ import annotations

FIRST_COMPILER_ONLY = "-XX:TieredStopAtLevel=1"
"""The second compiler pays after minutes under load.

Until then it took as much of the processor as the broker itself: 17 of 34 us a change of the
pipeline, and 2 of the 5 seconds of a start.
"""
