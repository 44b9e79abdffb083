"""What the page on consumers shows, run as it stands there: Python, Java and kcat."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.jars import KAFKA_POM, fetch_jars
from deploy.local.requirements import find_java
from schemas.envelope import Op
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.servers import unavailable
from tests.fixtures.wal_records import WalTransaction
from tests.integration.stitcher_stream.wal_topic import WalTopic

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "consuming.md"
EXPECTED = [
    "7 CREATE public.todo 1: id: null -> 1, task: null -> \"Sleep\"",
    "7 UPDATE public.todo 1: task: \"Sleep\" -> \"Eat\"",
    "somebody DELETE public.todo 1: id: 1 -> null, task: \"Eat\" -> null",
]  # fmt: skip


@pytest.fixture
def stitched(wal: WalTopic) -> Iterator[WalTopic]:
    """Stitch three changes, each of them twice, as after a crash."""
    asleep, awake = {"id": 1, "task": "Sleep"}, {"id": 1, "task": "Eat"}
    first = WalTransaction(2, 2_000_000).begin().context({"user_id": 7})
    first.change(asleep, table="todo").change(awake, Op.UPDATE, before=asleep, table="todo").end()
    second = WalTransaction(4, 4_000_000).begin()
    second.change(None, Op.DELETE, before=awake, table="todo").end()
    wal.write([first, second, first, second])
    stitcher = wal.start_ready()
    wal.wait_for_changes(6)
    yield wal
    stitcher.kill()


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_consumers_in_python_and_java_print_each_change_once(
    stitched: WalTopic, kafka_broker: KafkaBroker
) -> None:
    brokers, prefix = kafka_broker.bootstrap_servers, stitched.topics.prefix
    printed = run(sys.executable, "-m", "example.print_changes", brokers, prefix, "--once")
    lines = [line.split(" ", 1)[1] for line in printed.splitlines()]
    as_json = [line.replace("'", '"').replace("None", "null") for line in lines]
    assert as_json == EXPECTED
    java = find_java()
    if java is None or shutil.which("javac") is None:
        unavailable("no JDK: install openjdk-17-jdk-headless or newer")
    # Where the broker's jars are, kafka-clients and jackson-databind are among them.
    class_path = f"{fetch_jars(KAFKA_POM)}/*"
    source = str(ROOT / "example" / "PrintChanges.java")
    printed = run(java, "-cp", class_path, source, brokers, prefix, "--once")
    assert [line.split(" ", 1)[1] for line in printed.splitlines()] == EXPECTED


def test_kcat_prints_what_the_page_says(stitched: WalTopic, kafka_broker: KafkaBroker) -> None:
    for program in ("kcat", "jq"):
        if shutil.which(program) is None:
            unavailable(f"no {program}: install the package {program}")
    lines = re.findall(r"^    (kcat .*)$", PAGE.read_text(), re.MULTILINE)
    assert len(lines) == 2
    plain, chosen = (
        run(
            "bash", "-o", "pipefail", "-c",
            line.replace("127.0.0.1:9092", kafka_broker.bootstrap_servers).replace(
                "bemi.changes", stitched.topics.changes
            ),
        )
        for line in lines
    )  # fmt: skip
    assert [json.loads(line)["operation"] for line in plain.splitlines()] == (
        ["CREATE", "UPDATE", "DELETE"] * 2
    )
    assert [json.loads(line) for line in chosen.splitlines()] == [
        ["CREATE", "todo", {"id": 1, "task": "Sleep"}],
        ["UPDATE", "todo", {"id": 1, "task": "Eat"}],
    ] * 2
