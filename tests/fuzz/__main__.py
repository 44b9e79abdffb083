"""Damage messages for as long as wanted: `BEMI_FUZZ_SECONDS=60 python -m tests.fuzz`.

Prints the seed of the round that broke the rule; BEMI_FUZZ_SEED runs that round again.
"""

from __future__ import annotations

import os
import random
import sys
import time

from tests.fuzz.damage import MODES, damaged_stream, read_all

SECONDS = 60.0


def main() -> None:
    """Fuzz until the time is over or the rule is broken."""
    seconds = float(os.environ.get("BEMI_FUZZ_SECONDS", SECONDS))
    first = os.environ.get("BEMI_FUZZ_SEED")
    seed = int(first) if first else random.SystemRandom().randrange(2**32)
    deadline = time.monotonic() + seconds
    rounds = read = refused = 0
    while time.monotonic() < deadline and not (first and rounds):
        for name, modes in MODES.items():
            try:
                counts = read_all(damaged_stream(random.Random(seed)), modes)
            except Exception:
                print(f"broken in modes {name} by BEMI_FUZZ_SEED={seed}", file=sys.stderr)
                raise
            read += counts[0]
            refused += counts[1]
        rounds += 1
        seed += 1
    print(f"{rounds} rounds, {read} messages read, {refused} refused")


if __name__ == "__main__":
    main()
