"""A stitcher on a real broker: what goes in and what comes out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from schemas.change import Change
from tests.fixtures.stages import StartStage
from tests.fixtures.topics import read_topic
from tests.fixtures.waiting import eventually
from tests.fixtures.wal_records import WalTransaction, usual_transaction
from tests.integration.stitcher_stream.wal_topic import (
    PARTITIONS,
    WalTopic,
    assert_each_once,
    send,
    wait_ready,
)


def test_transactions_come_out_stitched_in_the_partition_they_came_in(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 201)]
    wal.write(transactions)
    wal.start_ready()
    wal.wait_for_changes(600)
    records = wal.changes()
    assert_each_once(records, transactions)
    for record in records:
        change = json.loads(record.value or b"")
        assert list(change) == list(Change.__annotations__)
        assert record.partition == change["transaction_id"] % PARTITIONS
        identity = [change["schema"], change["table"], change["primary_key"]]
        assert json.loads(record.key or b"") == identity
    wal.wait_for_commit()


def test_commits_stand_on_transaction_boundaries(wal: WalTopic) -> None:
    done, open_one = usual_transaction(2), usual_transaction(4)
    publisher = wal.publisher()
    send(publisher, wal.topics.wal, done.records, 0)
    send(publisher, wal.topics.wal, open_one.records[:-1], 0)
    publisher.flush()
    wal.start_ready()
    wal.wait_for_changes(6)
    # Four of the open transaction's five records are folded, and none of them is committed.
    eventually(lambda: wal.committed()[0] == len(done.records))
    send(publisher, wal.topics.wal, open_one.records[-1:], 0)
    publisher.flush()
    wal.wait_for_commit()
    assert_each_once(wal.changes(), [done, open_one])


def test_transaction_of_many_fetches_keeps_its_context_through_a_kill(wal: WalTopic) -> None:
    large = usual_transaction(2, rows=20_000)
    stitcher = wal.start_ready(BEMI_STITCHER_FETCH_BYTES="65536")
    publisher = wal.publisher()
    send(publisher, wal.topics.wal, large.records[:15_000], 0)
    publisher.flush()
    wal.wait_for_changes(14_000)
    stitcher.kill()
    assert wal.committed()[0] in (None, 0)
    send(publisher, wal.topics.wal, large.records[15_000:], 0)
    publisher.flush()
    wal.start_ready()
    wal.wait_for_commit()
    assert_each_once(wal.changes(), [large])


def test_poison_records_are_put_aside_and_the_rest_goes_on(wal: WalTopic) -> None:
    transaction = usual_transaction(2, rows=1)
    torn = WalTransaction(4, 4_000_000).begin().context({"request": 4}).change({"id": 1})
    torn.raw(b"\xff not JSON", key=b"k").change({"id": 2}).context({"request": 5})
    torn.change({"id": 3}).end()
    wal.write([transaction, torn])
    wal.start_ready()
    wal.wait_for_commit()
    changes = [json.loads(record.value or b"") for record in wal.changes()]
    assert [change["context"] for change in changes] == [
        {"request": 2},
        {"request": 4},
        {},
        {"request": 5},
    ]
    assert "could not be read" in changes[2]["context_error"]
    (letter,) = read_topic(wal.bootstrap_servers, wal.topics.dead_letters)
    assert (letter.key, letter.value) == (b"k", b"\xff not JSON")
    assert letter.headers["reason"] == b"its value is not JSON"
    assert letter.headers["stage"] == b"stitcher_stream"
    assert letter.headers["origin_topic"].decode() == wal.topics.wal
    assert (letter.headers["origin_partition"], letter.headers["origin_offset"]) == (b"0", b"7")
    assert letter.headers["commit_lsn"] == b"4000000"


def test_large_rows_pass_and_memory_stays_bounded(wal: WalTopic) -> None:
    text = "x" * 5_000_000
    transactions = [usual_transaction(number, rows=8, text=text) for number in (1, 2)]
    wal.write(transactions)
    stitcher = wal.start_ready()
    wal.wait_for_commit()
    records = wal.changes()
    assert_each_once(records, transactions)
    assert all(len(record.value or b"") > 5_000_000 for record in records)
    status = Path(f"/proc/{stitcher.pid}/status").read_text()
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    # 80 MB of rows, of which a fetch, a queue and the publisher's queue are held.
    assert peak_kib < 400 * 1024


def test_aborted_transaction_is_not_read(wal: WalTopic) -> None:
    publisher = wal.publisher(**{"transactional.id": wal.prefix})
    publisher.init_transactions(30)
    kept = []
    numbers = range(2, 42, 2)
    for number in numbers:
        publisher.begin_transaction()
        transaction = usual_transaction(number)
        send(publisher, wal.topics.wal, transaction.records, 0)
        assert publisher.flush(30) == 0, "an abort would forget what is not sent yet"
        if number % 4:
            publisher.abort_transaction(30)
        else:
            publisher.commit_transaction(30)
            kept.append(transaction)
    wal.start_ready()
    wal.wait_for_changes(len(kept) * 3)

    # Six records and a marker each; the last marker is no record, so the commit is before it.
    def check() -> None:
        assert wal.committed()[0] == len(numbers) * 7 - 1

    eventually(check)
    assert_each_once(wal.changes(), kept)


def test_partition_without_commit_is_read_from_its_beginning(wal: WalTopic) -> None:
    transactions = [usual_transaction(number) for number in range(1, 9)]
    wal.write(transactions)
    first = wal.start_ready(BEMI_STITCHER_COMMIT_INTERVAL_SECONDS="60")
    wal.wait_for_changes(24)
    first.kill()
    assert wal.committed() == [None, None]
    wal.start_ready()
    wal.wait_for_commit()
    assert_each_once(wal.changes(), transactions)


def test_stitcher_waits_for_the_producer_to_make_the_topic(
    wal: WalTopic, topic_prefix: str
) -> None:
    late = WalTopic(wal.bootstrap_servers, f"{topic_prefix}-late", wal.admin, wal.start_stage)
    stitcher = late.start()
    eventually(lambda: "does not exist yet" in stitcher.output())
    late.make(late.topics.wal)
    wait_ready(stitcher)
    transactions = [usual_transaction(1), usual_transaction(2)]
    late.write(transactions)
    late.wait_for_changes(6)
    assert_each_once(late.changes(), transactions)


@pytest.mark.parametrize("command", ["worker -l info", "worker --with-web -l info"])
def test_faust_command_leaves_no_files_and_listens_on_nothing(
    wal: WalTopic, start_stage: StartStage, tmp_path: Path, command: str
) -> None:
    wal.write([usual_transaction(1), usual_transaction(2)])
    faust = [sys.executable, "-m", "faust", "--workdir", str(tmp_path), "-A"]
    stitcher = start_stage("faust", [*faust, "stitcher_stream.app", *command.split()], wal.environ)
    wait_ready(stitcher)
    wal.wait_for_commit()
    assert not listening_sockets(stitcher.pid)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == []
    stitcher.terminate()
    assert stitcher.wait(20) == 0


def listening_sockets(pid: int) -> list[str]:
    """Return the local addresses the process listens on, as the kernel writes them."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            own.add(target.removeprefix("socket:[").removesuffix("]"))
    listening = "0A"
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == listening and fields[9] in own:
                found.append(fields[1])
    return found
