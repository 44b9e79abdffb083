"""A stitcher on a real broker that is told what to leave out, to redact and to check."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from runtime.service import EXIT_PERSON_MUST_ACT
from tests.fixtures.topics import read_topic
from tests.fixtures.wal_records import WalTransaction, usual_transaction
from tests.integration.stitcher_stream.wal_topic import WalTopic, assert_each_once

KEY = "0123456789abcdef0123456789abcdef"
HOOK = """
def reshape(change):
    if change["table"] == "poison":
        raise ValueError(change["after"])
    if change["after"].get("title") == "drop me":
        return None
    return {"context": {**change["context"], "seen_by": "hook"}}
"""


def test_rules_signatures_and_hook_decide_what_comes_out(wal: WalTopic, tmp_path: Path) -> None:
    (tmp_path / "operators_hook.py").write_text(HOOK)
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    text = json.dumps({"user": {"email": "a@b"}, "SQL": "INSERT INTO task VALUES ('x')"})
    signature = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    transaction = WalTransaction(2, 2_000_000).begin()
    transaction.context({"_signed": text, "_signature": signature})
    transaction.change({"id": 1, "title": "a", "noise": 1}).change({"id": 2, "title": "drop me"})
    transaction.context({"_verified": True}).change({"id": 3}).change({"id": 4}, table="log")
    transaction.change({"id": 5, "secret": "value"}, table="poison").change({"id": 6}).end()
    wal.write([transaction])
    stitcher = wal.start_ready(
        PYTHONPATH=str(tmp_path),
        BEMI_STITCHER_CONTEXT_KEY_FILE=str(key_file),
        BEMI_STITCHER_REDACT_CONTEXT="**.email",
        BEMI_STITCHER_REDACT_SQL_LITERALS="true",
        BEMI_STITCHER_IGNORE_TABLES="*.log",
        BEMI_STITCHER_IGNORE_COLUMNS="public.task.noise",
        BEMI_STITCHER_CHANGE_HOOK="operators_hook.reshape",
    )
    wal.wait_for_commit()
    changes = [json.loads(record.value or b"") for record in wal.changes()]
    assert [change["after"] for change in changes] == [
        {"id": 1, "title": "a"},
        {"id": 3},
        {"id": 6},
    ]
    assert [change["context"] for change in changes] == [
        {
            "user": {"email": "[redacted]"},
            "SQL": "INSERT INTO task VALUES (?)",
            "_verified": True,
            "seen_by": "hook",
        },
        {"_verified": False, "seen_by": "hook"},
        {"_verified": False, "seen_by": "hook"},
    ]
    (letter,) = read_topic(wal.bootstrap_servers, wal.topics.dead_letters)
    assert b"ValueError in reshape, line 4" in letter.headers["reason"]
    assert b"value" not in letter.headers["reason"]
    assert "left out 1 ignored changes and 1 the hook dropped" in stitcher.output()
    stitcher.terminate()
    assert stitcher.wait(20) == 0


def test_hook_that_cannot_be_imported_needs_a_person_before_anything_is_read(
    wal: WalTopic,
) -> None:
    wal.write([usual_transaction(1)])
    stitcher = wal.start(BEMI_STITCHER_CHANGE_HOOK="no.such_hook")
    assert stitcher.wait(30) == EXIT_PERSON_MUST_ACT
    assert "PYTHONPATH" in stitcher.output()
    wal.start_ready()
    wal.wait_for_changes(3)
    assert_each_once(wal.changes(), [usual_transaction(1)])
