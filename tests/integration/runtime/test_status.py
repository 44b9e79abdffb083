"""`bemi-producer status` on a real pipeline, and without one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from tests.fixtures.pipeline import Pipeline
from tests.fixtures.stages import plain_environ
from tests.fixtures.waiting import eventually

SECONDS = 60


def status(environ: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it said."""
    return subprocess.run(
        ["bemi-producer", "status", *options],
        env=plain_environ() | dict(environ),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_status_tells_how_far_each_stage_is(pipeline: Pipeline) -> None:
    empty = status(pipeline.environ, "--once")
    assert empty.returncode == 1
    assert "no slot" in empty.stdout
    assert "destination:" in empty.stdout  # The sink's tables are not there yet.

    pipeline.start()
    pipeline.execute("CREATE TABLE todo (id int PRIMARY KEY)")
    pipeline.execute("INSERT INTO todo SELECT generate_series(1, 5)")
    pipeline.wait_for("todo", 5)

    def is_caught_up() -> None:
        done = status(pipeline.environ, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        now: dict[str, Any] = json.loads(done.stdout)
        assert now["slot_is_active"]
        assert (now["stitcher_behind"], now["sink_behind"]) == (0, 0)
        assert now["stored"] == 5
        assert (now["dead_letters"], now["put_aside"]) == (0, 0)
        assert now["newest_change_seconds"] >= 0
        assert [stage["name"] for stage in now["stages"]] == ["producer", "stitcher", "sink"]

    eventually(is_caught_up, SECONDS)
