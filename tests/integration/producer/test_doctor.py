"""`bemi-producer doctor` on real servers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from runtime.kafka_client import Admin
from tests.fixtures.capture import Capture
from tests.fixtures.stages import plain_environ
from tests.fixtures.waiting import eventually

SECONDS = 60
TABLES = """
    CREATE TABLE keyed (id int PRIMARY KEY, task text);
    CREATE TABLE keyless (task text);
    CREATE TABLE whole (task text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
    CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
"""

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(capture: Capture) -> Doctor:
    """Run the doctor on the capture's source and return what it said."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        environ = plain_environ() | capture.environ
        return subprocess.run(
            ["bemi-producer", "doctor", *options],
            env=environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return found


def about(found: list[dict[str, Any]], text: str) -> dict[str, Any]:
    matching = [each for each in found if text in each["summary"]]
    assert len(matching) == 1, found
    return matching[0]


def test_a_table_that_breaks_the_application_is_found_and_mended(
    capture: Capture, doctor: Doctor
) -> None:
    capture.execute(TABLES)
    capture.execute("CREATE PUBLICATION bemi FOR ALL TABLES")
    done = doctor("--json")
    assert done.returncode == 2, done.stderr
    found = findings(done)
    breaking = about(found, "fail for the application")
    assert breaking["severity"] == "error"
    assert "public.keyless" in breaking["summary"]
    assert breaking["sql"] == ["ALTER TABLE public.keyless REPLICA IDENTITY FULL;"]
    assert "public.fleeting is unlogged" in about(found, "unlogged")["summary"]
    partial = about(found, "`before` has the key only")
    assert "public.keyed" in partial["summary"]
    assert "whole" not in partial["summary"]

    mended = doctor("--fix")
    assert "REPLICA IDENTITY FULL for public.keyless: done" in mended.stdout
    assert mended.returncode == 1, mended.stdout
    capture.execute("UPDATE keyless SET task = 'still works'")


def test_what_can_be_read_is_said_on_one_screen_with_its_advice(
    capture: Capture, doctor: Doctor
) -> None:
    done = doctor()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "wal_level is logical" in done.stdout
    assert "is a superuser" in done.stdout
    assert "one broker" in done.stdout
    assert "0 errors" in done.stdout
    assert len(done.stdout.splitlines()) < 40


def test_a_topic_that_deletes_what_is_unread_is_found_and_mended(
    capture: Capture, doctor: Doctor
) -> None:
    capture.start().stop()
    admin = Admin({"bootstrap.servers": capture.kafka_broker.bootstrap_servers})
    entry = ConfigEntry("retention.ms", "3600000", incremental_operation=AlterConfigOpType.SET)
    wal = ConfigResource(ConfigResource.Type.TOPIC, capture.topics.wal, incremental_configs=[entry])
    admin.incremental_alter_configs([wal])[wal].result(SECONDS)

    # The brokers tell each other of a setting in their own time.
    def is_found() -> dict[str, Any]:
        found = findings(doctor("--json"))
        assert "retention.ms=3600000" in about(found, "deletes by")["summary"]
        return about(found, "nobody reads it")

    slot = eventually(is_found, SECONDS)
    assert (slot["severity"], capture.slot_name in slot["summary"]) == ("warning", True)

    mended = doctor("--fix")
    assert f"retention.ms=-1 for topic {capture.topics.wal}: done" in mended.stdout

    def is_mended() -> None:
        found = findings(doctor("--json"))
        assert about(found, f"topic {capture.topics.wal} keeps everything")["severity"] == "ok"

    eventually(is_mended, SECONDS)


def test_servers_that_do_not_answer_are_findings(capture: Capture, doctor: Doctor) -> None:
    capture.environ["DB_PORT"] = "1"
    capture.environ["DB_PASSWORD"] = "kept-to-itself"
    capture.environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    done = doctor("--json")
    assert done.returncode == 2
    assert {each["area"] for each in findings(done)} == {"server", "kafka"}
    assert "kept-to-itself" not in done.stdout + done.stderr


def test_columns_that_stay_in_clear_text_though_they_are_to_be_hidden_are_findings(
    capture: Capture, doctor: Doctor
) -> None:
    capture.execute("CREATE DOMAIN birthday AS date")
    capture.execute("CREATE TABLE person (email text PRIMARY KEY, born birthday, name varchar(9))")
    capture.environ |= {
        "BEMI_PRODUCER_COLUMN_EXCLUDE_LIST": "public.person.email",
        "BEMI_PRODUCER_COLUMN_RULES": '{"column.mask.with.3.chars": "public.person.(born|name)"}',
        "BEMI_PRODUCER_COLUMN_HMAC": "public.person.nmae",
        "BEMI_PRODUCER_COLUMN_HMAC_KEY": "0123456789abcdef",
    }
    done = doctor("--json")
    found = [each["summary"] for each in findings(done) if each["area"] == "hiding"]
    assert [summary.split(":")[0] for summary in found] == [
        "bemi.column.hmac", "public.person.born", "public.person.email",
    ]  # fmt: skip
    assert "0123456789abcdef" not in done.stdout + done.stderr
