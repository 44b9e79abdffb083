"""The context on its way through RQ: real workers, a real Redis, and what reached the log."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue
from rq.job import JobStatus

import bemi
from deploy.local.paths import REPOSITORY
from deploy.local.ports import free_port
from deploy.local.process import ChildProcess
from tests.fixtures.postgres import Database
from tests.fixtures.servers import unavailable
from tests.fixtures.waiting import eventually
from tests.integration.django_bemi import rq_jobs
from tests.integration.django_bemi.wal import Context, Wal

PROGRAM = "redis-server"
WORKER_SECONDS = 60


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """Start a Redis of the test's own that keeps nothing."""
    if shutil.which(PROGRAM) is None:
        unavailable("Redis is missing: apt-get install redis-server")
    port = free_port()
    keep_nothing = ["--save", "", "--appendonly", "no"]
    server = ChildProcess(
        PROGRAM,
        [PROGRAM, "--bind", "127.0.0.1", "--port", str(port), *keep_nothing],
        log_path=tmp_path / "redis.log",
        folder=tmp_path,
    )
    server.start()
    try:
        with Redis(host="127.0.0.1", port=port) as client:
            eventually(lambda: _answers(client, server))
            yield client
    finally:
        server.stop()


def _answers(client: Redis, server: ChildProcess) -> bool:
    assert server.is_running, server.tail()
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


def work(queue: Queue, kind: str, site: Database, log_path: Path) -> None:
    """Let a worker do what is in the queue, as `rq worker` does."""
    port = queue.connection.get_connection_kwargs()["port"]
    options = ["--burst", "--worker-class", kind, "--url", f"redis://127.0.0.1:{port}"]
    worker = ChildProcess(
        "rq",
        [sys.executable, "-m", "rq.cli", "worker", *options, "--path", str(REPOSITORY), queue.name],
        log_path=log_path,
        environ={**os.environ, **site.environ},
        folder=REPOSITORY,
    )
    worker.start()
    try:
        assert worker.wait(WORKER_SECONDS) == 0, worker.tail()
    finally:
        worker.kill()


# One does each job in a process of its own, the other all of them in the same.
@pytest.mark.parametrize("kind", ["rq.Worker", "rq.SimpleWorker"])
def test_a_job_has_the_context_that_it_was_given_and_leaves_none_to_the_next(
    kind: str, redis: Redis, wal: Wal, site: Database, tmp_path: Path
) -> None:
    queue = Queue(connection=redis)
    with bemi.context(user_id=7, tags=["a", {"deep": "ü"}]):
        given = bemi.current_context()
        jobs = [
            queue.enqueue(rq_jobs.insert, "first", given),
            queue.enqueue(rq_jobs.insert_as_it_is, "behind a block"),
            queue.enqueue(rq_jobs.insert_nightly, "second"),
            queue.enqueue(rq_jobs.insert_as_it_is, "behind a decorated job"),
            queue.enqueue(rq_jobs.fail, given),
            queue.enqueue(rq_jobs.insert_as_it_is, "behind a failed job"),
        ]
    work(queue, kind, site, tmp_path / "worker.log")

    finished, failed = JobStatus.FINISHED, JobStatus.FAILED
    assert [job.get_status() for job in jobs] == [*[finished] * 4, failed, finished]
    sql = {"SQL": "INSERT INTO item (name) VALUES (%s)"}
    assert [
        entry.values if isinstance(entry, Context) else entry.operation for entry in wal.read()
    ] == [
        {**given, "job": "insert", **sql},
        "INSERT",
        "INSERT",
        {"job": "nightly", **sql},
        "INSERT",
        "INSERT",
        "INSERT",
    ]
