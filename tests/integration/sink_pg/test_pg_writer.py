"""One transaction stores rows, dead letters and progress, once, whatever happens to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from sink_pg.batch import Batch, BatchLimits
from sink_pg.change_rows import Record
from sink_pg.errors import DatabaseRefused, DatabaseUnavailable, DatabaseUnusable, ProgressMoved
from sink_pg.pg_writer import PgWriter, Stored
from sink_pg.settings import SinkSettings
from sink_pg.watermark import Watermark
from tests.fixtures.network import cutting_proxy
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import eventually
from tests.integration.sink_pg.conftest import Trail
from tests.unit.sink_pg.example_changes import EPOCH, TOPIC, change, encoded, record

LIMITS = BatchLimits(rows=10_000, bytes=10**9, age_seconds=0.0)


def batch_of(records: Iterable[Record], watermarks: dict[int, Watermark] | None = None) -> Batch:
    batch = Batch(LIMITS, watermarks or {})
    batch.add(records, now=0.0)
    return batch


def numbered(count: int, first: int = 0, partition: int = 0) -> list[Record]:
    return [record(change(n), offset=n, partition=partition) for n in range(first, first + count)]


def test_rows_and_progress_are_stored_together(writer: PgWriter, trail: Trail) -> None:
    records = [*numbered(3), *numbered(2, first=10, partition=1)]
    assert writer.store(batch_of(records)) == Stored(rows=5, dead_letters=0, redelivered=0)
    assert trail.count() == 5
    assert writer.watermarks([0, 1, 2]) == {
        0: Watermark(3, str(EPOCH), 2, 0),
        1: Watermark(12, str(EPOCH), 11, 0),
    }


def test_following_batch_goes_on_from_the_watermark(writer: PgWriter, trail: Trail) -> None:
    batch = batch_of(numbered(3))
    writer.store(batch)
    following = batch.next_batch()
    following.add([*numbered(3), *numbered(2, first=3)], now=0.0)
    assert writer.store(following).rows == 2
    assert trail.rows("commit_lsn") == [(0,), (1,), (2,), (3,), (4,)]


@pytest.mark.parametrize("stored_before", [0, 2])
def test_of_two_writers_with_the_same_records_one_loses(
    writer: PgWriter, settings: SinkSettings, trail: Trail, stored_before: int
) -> None:
    if stored_before:
        writer.store(batch_of(numbered(stored_before)))
    watermarks = writer.watermarks([0])
    other = PgWriter(settings, TOPIC)
    writer.store(batch_of(numbered(5, first=stored_before), watermarks))
    with pytest.raises(ProgressMoved, match="another sink"):
        other.store(batch_of(numbered(9, first=stored_before), watermarks))
    assert trail.count() == stored_before + 5
    assert other.store(batch_of(numbered(9), other.watermarks([0]))).rows == 4 - stored_before
    other.close()


def test_writer_waits_for_the_end_of_anothers_transaction(
    writer: PgWriter, database: Database, trail: Trail
) -> None:
    writer.store(batch_of(numbered(2)))
    with database.connect() as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute("UPDATE bemi_sink_progress SET next_offset = 4")
            storing = pool.submit(writer.store, batch_of(numbered(2, first=2), {0: Watermark(2)}))
            eventually(lambda: is_waiting(trail))
            assert not storing.done()
        with pytest.raises(ProgressMoved):
            storing.result(timeout=30.0)
    assert trail.count() == 2


def test_change_with_a_known_id_is_stored_once_across_epochs(
    writer: PgWriter, trail: Trail
) -> None:
    writer.store(batch_of(numbered(4)))
    promoted = replace(EPOCH, timeline=2)
    again = [record(change(n, epoch=promoted), offset=4 + n) for n in range(6)]
    stored = writer.store(batch_of(again, writer.watermarks([0])))
    assert stored == Stored(rows=2, dead_letters=0, redelivered=4)
    assert trail.count() == 6
    assert writer.watermarks([0]) == {0: Watermark(10, str(promoted), 5, 0)}


def test_rows_that_postgres_cannot_store_are_put_aside_and_the_rest_is_stored(
    writer: PgWriter, trail: Trail
) -> None:
    damage = {
        0: (b'"@"', b"nonsense"),
        8: (b'"@"', b'"\\x"'),
        2_500: (b"2026-01-01", b"2026-13-45"),
        4_000: (b"todo_task", b"\xff\xfe"),
        4_001: (b'"@"', b"[" * 20_000),
        4_999: (b'"@"', b'"\x00"'),
    }
    poison = {
        n: encoded(change(n, after={"a": "@"})).replace(*parts) for n, parts in damage.items()
    }
    records = [
        record(poison[n], offset=n) if n in poison else record(change(n), offset=n)
        for n in range(5_000)
    ]
    stored = writer.store(batch_of(records))
    assert stored == Stored(rows=4_994, dead_letters=6, redelivered=0)
    assert trail.count() == 4_994
    letters = trail.dead_letters()
    assert {offset: value for offset, value, _ in letters} == poison
    assert all(reason for _, _, reason in letters)
    assert trail.progress() == {0: 5_000}


def test_batch_of_poison_only_is_put_aside_whole(writer: PgWriter, trail: Trail) -> None:
    poison = [encoded(change(n, after={"a": "@"})).replace(b'"@"', b"nonsense") for n in range(20)]
    stored = writer.store(batch_of(record(value, offset=n) for n, value in enumerate(poison)))
    assert stored == Stored(rows=0, dead_letters=20, redelivered=0)
    assert [value for _, value, _ in trail.dead_letters()] == poison
    assert trail.progress() == {0: 20}


def test_dead_letter_keeps_key_value_and_headers(writer: PgWriter, trail: Trail) -> None:
    headers = (("epoch\0", b"7.1"), ("none", None), ("raw", b"\x00\xff"))
    letters = [
        Record(TOPIC, 0, 0, b"\x00key", b"garbage\x00\xff", headers),
        Record(TOPIC, 0, 1, None, None),
    ]
    writer.store(batch_of(letters))
    row: Any = trail.connection.execute(
        'SELECT key, value, headers, reason FROM bemi_dead_letters WHERE "offset" = 0'
    ).fetchone()
    assert row[:2] == (b"\x00key", b"garbage\x00\xff")
    assert row[2] == [["epoch\u2400", "Ny4x"], ["none", None], ["raw", "AP8="]]
    assert row[3] == "the record is not UTF-8"
    assert trail.dead_letters()[1][1:] == (None, "the record has no value")


def test_null_character_is_stored_in_its_documented_form(writer: PgWriter, trail: Trail) -> None:
    value = change(after={"a": "x\0y", "json": '{"k": "\\u0000"}', "half": "\ud800"})
    writer.store(batch_of([record(value)]))
    assert trail.rows("after, characters_replaced") == [
        ({"a": "x\u2400y", "json": '{"k": "\\u0000"}', "half": "\ufffd"}, True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("9" * 140_000, id="more digits than numeric has"),
        pytest.param("1e200000", id="exponent beyond numeric"),
        pytest.param("[" * 20_000 + "]" * 20_000, id="deeper than the stack"),
        pytest.param('[{"a\\tb": "x\\\\y\\n"}, -1e999999]', id="inside other values"),
    ],
)
def test_json_beyond_the_limits_of_jsonb_is_stored_as_text_and_named(
    writer: PgWriter, trail: Trail, text: str
) -> None:
    rest = {"id": 1, 'odd "name"\\\t': "kept \\ as \n it is"}
    value = encoded(change(1, before={**rest, "n": "@"}, after={"n": "@", **rest}))
    poisoned = value.replace(b'"@"', text.encode())
    batch = [record(change(0)), record(poisoned, offset=1), record(change(2), offset=2)]
    assert writer.store(batch_of(batch)) == Stored(rows=3, dead_letters=0, redelivered=0)
    assert trail.rows("before, after, context, stored_as_text")[1] == (
        {**rest, "n": text},
        {**rest, "n": text},
        change()["context"],
        ["before.n", "after.n"],
    )
    assert trail.rows("stored_as_text")[::2] == [(None,), (None,)]


def test_member_stored_as_text_keeps_its_name(writer: PgWriter, trail: Trail) -> None:
    name = 'a "b" \\, {c}\té'
    value = encoded(change(after={name: "@"})).replace(b'"@"', b"1e999999")
    writer.store(batch_of([record(value)]))
    assert trail.rows("after, stored_as_text") == [({name: "1e999999"}, [f"after.{name}"])]


@pytest.mark.parametrize("key", [secrets.token_hex(3_000), "k" * 100_000, "é" * 5_000])
def test_key_longer_than_an_index_entry_may_be_is_stored_and_found(
    writer: PgWriter, trail: Trail, key: str
) -> None:
    writer.store(batch_of([record(change(primary_key=key))]))
    trail.connection.execute("SET enable_seqscan = off")
    found = trail.connection.execute(
        "SELECT count(*) FROM changes WHERE primary_key = %s", [key]
    ).fetchone()
    assert found == (1,)


def test_large_values_are_stored_whole(writer: PgWriter, trail: Trail) -> None:
    text = "x\\\t\n" * 1_250_000
    writer.store(batch_of([record(change(after={"text": text}))]))
    assert trail.rows("after ->> 'text'") == [(text,)]


def test_lost_answer_to_commit_leaves_the_batch_stored_once(
    writer: PgWriter, database: Database, trail: Trail
) -> None:
    host, port = database.environ["DB_HOST"], int(database.environ["DB_PORT"])
    with cutting_proxy(host, port) as proxy:
        environ = {**database.environ, "DB_HOST": "127.0.0.1", "DB_PORT": str(proxy.port)}
        cut = PgWriter(SinkSettings.from_environ({**environ, "DB_SSLMODE": "disable"}), TOPIC)
        cut.watermarks([0])
        proxy.cut_answer_to(b"COMMIT\0")
        with pytest.raises(DatabaseUnavailable):
            cut.store(batch_of(numbered(3)))
        assert proxy.was_cut.is_set()
        again = batch_of(numbered(5), cut.watermarks([0]))
        assert cut.store(again) == Stored(rows=2, dead_letters=0, redelivered=3)
        cut.close()
    assert trail.count() == 5


def test_writer_that_is_ended_while_it_stores_has_stored_nothing(
    writer: PgWriter, database: Database, trail: Trail
) -> None:
    with database.connect() as other, ThreadPoolExecutor(1) as pool, other.transaction():
        other.execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
        storing: Future[Stored] = pool.submit(writer.store, batch_of(numbered(3)))
        eventually(lambda: is_waiting(trail))
        trail.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'bemi-sink' AND datname = current_database()"
        )
        with pytest.raises(DatabaseUnavailable):
            storing.result(timeout=30.0)
    assert trail.count() == 0
    assert writer.watermarks([0]) == {}
    assert writer.store(batch_of(numbered(3))).rows == 3


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"DB_NAME": "no such database"}, "check DESTINATION_DB_NAME"),
        ({"DB_USER": "no such role"}, "check DESTINATION_DB_USER"),
        ({"DB_PASSWORD": "not the password"}, "and DESTINATION_DB_PASSWORD"),
        ({"DB_SSLMODE": "require"}, "set DESTINATION_DB_SSLMODE"),
    ],
)
def test_wrong_credentials_need_a_person(
    database: Database, wrong: dict[str, str], advice: str
) -> None:
    settings = SinkSettings.from_environ({**database.environ, **wrong})
    with pytest.raises(DatabaseRefused, match=advice) as caught:
        PgWriter(settings, TOPIC).watermarks([0])
    assert "not the password" not in str(caught.value)


def test_server_that_does_not_answer_is_tried_again(database: Database) -> None:
    with cutting_proxy("127.0.0.1", 1) as proxy:
        environ = {**database.environ, "DB_HOST": "127.0.0.1", "DB_PORT": str(proxy.port)}
        with pytest.raises(DatabaseUnavailable):
            PgWriter(SinkSettings.from_environ(environ), TOPIC).watermarks([0])


def test_tables_that_were_taken_away_need_a_person(writer: PgWriter, trail: Trail) -> None:
    trail.connection.execute("DROP TABLE changes")
    with pytest.raises(DatabaseUnusable, match="42P01"):
        writer.store(batch_of(numbered(1)))
    assert trail.progress() == {}


def test_context_is_found_in_the_row(writer: PgWriter, trail: Trail) -> None:
    value = change(context={"user_id": 7}, context_error="too large", primary_key=None)
    writer.store(batch_of([record(value)]))
    columns = "context::text, context_error, primary_key, characters_replaced"
    assert trail.rows(columns) == [(json.dumps({"user_id": 7}), "too large", None, False)]


def is_waiting(trail: Trail) -> bool:
    row = trail.connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bemi-sink'"
        " AND datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return row == (1,)
