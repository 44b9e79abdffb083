"""A person is erased from the trail of a running pipeline, and nothing brings the values back."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from typing import Any

from tests.fixtures.pipeline import Pipeline
from tests.fixtures.stages import plain_environ
from tests.fixtures.waiting import eventually

SECRET = "erika@example.com"
COMMAND_SECONDS = 60


def run(pipeline: Pipeline, *command: str) -> str:
    done = subprocess.run(
        command,
        env=plain_environ() | pipeline.environ,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stored(pipeline: Pipeline) -> list[tuple[Any, Any, Any]]:
    return [(c["before"], c["after"], c["context"]) for c in pipeline.changes("person")]


def test_what_is_erased_stays_so_and_verify_misses_nothing(
    pipeline: Pipeline,
) -> None:
    pipeline.start()
    with closing(pipeline.database.connect()) as connection:
        connection.execute("CREATE TABLE person (id int PRIMARY KEY, email text)")
        connection.execute("ALTER TABLE person REPLICA IDENTITY FULL")
        with connection.transaction():
            connection.execute(
                "SELECT pg_logical_emit_message(true, '_bemi', %s)",
                [json.dumps({"user_id": 7, "email": SECRET})],
            )
            connection.execute("INSERT INTO person VALUES (7, %s), (8, 'b@example.com')", [SECRET])
        connection.execute("UPDATE person SET email = 'c@example.com' WHERE id = 7")
        connection.execute("DELETE FROM person WHERE id = 7")
    pipeline.wait_for("person", 4)

    reason = ("--reason", "ticket 4711", "--yes")
    run(pipeline, "bemi-sink", "erase", "--table", "public.person", "--primary-key", "7", *reason)
    run(pipeline, "bemi-sink", "erase", "--context", "user_id=7", "--member", "email", *reason)
    erased = stored(pipeline)
    assert SECRET not in str(erased)
    assert [after for _, after, _ in erased][1] == {"id": 8, "email": "b@example.com"}
    eventually(lambda: "complete" in run(pipeline, "bemi-sink", "verify"), 30)

    # The topics still have it: `.changes` as it was, and once more as it is stitched again.
    run(pipeline, "bemi-stitcher", "restitch")
    assert " 0 replaced" in run(pipeline, "bemi-sink", "replay", "--replace")
    assert stored(pipeline) == erased
    # A person of the same key is another one: what comes is stored as it is.
    pipeline.execute("INSERT INTO person VALUES (7, 'new@example.com')")
    assert pipeline.wait_for("person", 5)[-1]["after"] == {"id": 7, "email": "new@example.com"}
    assert "complete" in run(pipeline, "bemi-sink", "verify")
