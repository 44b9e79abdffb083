"""From the messages of a transaction to records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from producer import pgoutput
from producer.change_events import ChangeEvents, Output, Record
from producer.column_types.column_type import READABLE, TypeFacts, ValueModes
from producer.errors import MalformedMessage, UnknownRelation
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.table_shape import CatalogColumn, CatalogFacts, TableRules, shape
from schemas.change_id import Epoch, Lsn
from schemas.topics import Headers, Topics
from tests.unit.producer import pgoutput_bytes as wire
from tests.unit.producer.pgoutput_bytes import UNCHANGED

TODO = 16400
CHANGES = 16500
COLUMNS = [("id", 23, True), ("task", 25, True)]
COMMIT_US = 1_700_000_000_123_456
NOW_US = 1_700_000_000_200_000


class Row(NamedTuple):
    """A record with names for its parts."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    partition: int


ROWS = b"IUD"
DEBEZIUMS = ValueModes(debezium_values=True)
TYPES = {oid: TypeFacts(oid, "pg_catalog", name) for oid, name in {23: "int4", 25: "text"}.items()}


class Stream:
    """Feeds messages to ChangeEvents as the capture does, one LSN apart."""

    def __init__(
        self,
        output: Output | None = None,
        *,
        tables: bool = True,
        wal: bool = True,
        modes: ValueModes = READABLE,
        **options: Any,
    ) -> None:
        epoch = Epoch(71, 1, 4, "slot", "shop")
        server = Server("p", "shop")
        self.modes = modes
        readable = JsonEvents(WriterOptions(server))
        own = readable
        if modes != READABLE or options:
            own = JsonEvents(WriterOptions(server, modes, **options))
        self.events = ChangeEvents(
            Topics("p"),
            epoch,
            output or Output(),
            own if tables else None,
            readable if wal else None,
        )
        self.lsn = 1000
        self.describe(wire.relation(TODO, "public", "todo", COLUMNS, "f"), ("id",))
        self.describe(wire.relation(CHANGES, "public", "changes", COLUMNS), ("id",), is_own=True)

    def describe(
        self,
        payload: bytes,
        key: tuple[str, ...] | None,
        *,
        is_own: bool = False,
        columns: Mapping[str, CatalogColumn] | None = None,
    ) -> None:
        relation = pgoutput.decode(payload)
        assert isinstance(relation, pgoutput.Relation)
        facts = CatalogFacts(key=key, columns=columns or {}, types=TYPES, is_own=is_own)
        self.events.describe(
            shape(relation, facts, self.modes, TableRules()),
            shape(relation, facts, READABLE, TableRules()),
        )

    def feed(self, *payloads: bytes) -> list[Row]:
        records: list[Record] = []
        for payload in payloads:
            self.lsn += 1
            lsn = Lsn(self.lsn)
            if payload[0] in ROWS:
                records += self.events.row(b"head" + payload, 4, lsn, NOW_US)
                continue
            match pgoutput.decode(payload):
                case pgoutput.Begin() as message:
                    self.events.begin(message, lsn)
                case pgoutput.Commit() as message:
                    records += self.events.commit(message, lsn)
                case pgoutput.Truncate() as message:
                    records += self.events.truncate(message, lsn, NOW_US)
                case pgoutput.LogicalMessage() as message:
                    records += self.events.message(message, lsn, NOW_US)
                case pgoutput.Origin() as message:
                    self.events.origin(message)
        return [Row(*record) for record in records]

    def transaction(self, *payloads: bytes, xid: int = 7) -> list[Row]:
        return self.feed(
            wire.begin(2000, COMMIT_US, xid), *payloads, wire.commit(2000, 2010, COMMIT_US)
        )


def on(topic: str, records: list[Row]) -> list[Row]:
    return [record for record in records if record.topic == topic]


def values(records: list[Row]) -> list[Any]:
    return [None if record.value is None else json.loads(record.value) for record in records]


def keys(records: list[Row]) -> list[Any]:
    return [None if record.key is None else json.loads(record.key) for record in records]


def headers(record: Row) -> dict[str, bytes]:
    return dict(record.headers or [])


def test_an_insert_is_an_envelope_with_its_row() -> None:
    records = Stream().transaction(wire.insert(TODO, [b"1", b"Sleep"]))
    (record,) = on("p.public.todo", records)
    assert keys([record]) == [{"id": 1}]
    (value,) = values([record])
    assert list(value) == [
        "before",
        "after",
        "source",
        "transaction",
        "op",
        "ts_ms",
        "ts_us",
        "ts_ns",
    ]
    assert (value["before"], value["after"], value["op"]) == (None, {"id": 1, "task": "Sleep"}, "c")
    assert value["ts_us"] == NOW_US
    assert value["source"] == {
        "version": value["source"]["version"],
        "connector": "postgresql",
        "name": "p",
        "ts_ms": COMMIT_US // 1000,
        "snapshot": "false",
        "db": "shop",
        "sequence": '[null,"1002"]',
        "ts_us": COMMIT_US,
        "ts_ns": COMMIT_US * 1000,
        "schema": "public",
        "table": "todo",
        "txId": 7,
        "lsn": 1002,
        "xmin": None,
        "origin": None,
        "origin_lsn": None,
    }
    assert value["transaction"] == {"id": "7:1002", "total_order": 1, "data_collection_order": 1}


def test_the_sequence_names_the_end_of_the_commit_before() -> None:
    stream = Stream()
    stream.transaction(wire.insert(TODO, [b"1", b"a"]))
    (value,) = values(on("p.public.todo", stream.transaction(wire.insert(TODO, [b"2", b"b"]))))
    assert value["source"]["sequence"].startswith('["2010",')


def test_a_transaction_is_whole_and_in_order_on_one_partition_of_wal() -> None:
    records = Stream().transaction(
        wire.logical_message(transactional=True, lsn=5, prefix="_bemi", content=b'{"a":1}'),
        wire.insert(TODO, [b"1", b"a"]),
        wire.delete(TODO, [b"1", b"a"]),
        xid=6,
    )
    wal = on("p.wal", records)
    assert [value.get("status") or value["op"] for value in values(wal)] == [
        "BEGIN",
        "m",
        "c",
        "d",
        "END",
    ]
    assert {record.partition for record in wal} == {6 % 4}
    assert [headers(record).get("ordinal") for record in wal] == [None, b"1", b"2", b"3", b"3"]
    assert {headers(record)["commit_lsn"] for record in wal} == {b"2000"}
    assert {headers(record)["epoch"] for record in wal} == {b"71.1.4.slot.shop"}


def test_wal_shares_the_bytes_of_the_table_topic() -> None:
    records = Stream().transaction(wire.insert(TODO, [b"1", b"a"]))
    (table,) = on("p.public.todo", records)
    assert any(record.value is table.value for record in on("p.wal", records))


def test_a_delete_is_followed_by_a_tombstone_on_the_table_topic_only() -> None:
    records = Stream().transaction(wire.delete(TODO, [b"1", b"a"]))
    table = on("p.public.todo", records)
    assert [record.value is None for record in table] == [False, True]
    assert keys(table) == [{"id": 1}, {"id": 1}]
    assert all(record.value is not None for record in on("p.wal", records))


def test_an_update_of_the_key_is_two_events_for_consumers_and_one_on_wal() -> None:
    records = Stream().transaction(wire.update(TODO, [b"1", b"a"], [b"2", b"a"]))
    table = on("p.public.todo", records)
    assert [value and value["op"] for value in values(table)] == ["d", None, "c"]
    assert keys(table) == [{"id": 1}, {"id": 1}, {"id": 2}]
    assert headers(table[0]) == headers(table[1]) == {"__debezium.newkey": b'{"id":2}'}
    assert headers(table[2]) == {"__debezium.oldkey": b'{"id":1}'}
    orders = [value["transaction"]["total_order"] for value in values(table) if value]
    assert orders == [1, 2]
    assert values(on("p.transaction", records))[-1]["event_count"] == 2
    (change,) = (value for value in values(on("p.wal", records)) if value.get("op"))
    assert (change["op"], change["before"]["id"], change["after"]["id"]) == ("u", 1, 2)


def test_what_was_not_sent_of_an_updated_row_is_taken_from_the_full_old_row() -> None:
    records = Stream().transaction(wire.update(TODO, [b"1", b"long"], [b"1", UNCHANGED]))
    (value,) = values(on("p.public.todo", records))
    assert value["after"] == {"id": 1, "task": "long"}


def test_what_was_not_sent_at_all_is_marked_unavailable() -> None:
    records = Stream().transaction(wire.update(TODO, None, [b"1", UNCHANGED]))
    (value,) = values(on("p.public.todo", records))
    assert value["after"] == {"id": 1, "task": "__debezium_unavailable_value"}
    assert value["before"] is None


def test_an_old_row_of_key_columns_shows_only_those() -> None:
    stream = Stream()
    columns = [("id", 23, True), ("task", 25, False)]
    stream.describe(wire.relation(TODO, "public", "todo", columns, "d"), ("id",))
    records = stream.transaction(wire.delete(TODO, [b"1", None], is_full=False))
    assert values(on("p.public.todo", records))[0]["before"] == {"id": 1}


def test_a_table_without_a_key_has_records_without_keys() -> None:
    stream = Stream()
    stream.describe(wire.relation(TODO, "public", "log", COLUMNS, "f"), ())
    records = stream.transaction(wire.insert(TODO, [b"1", b"a"]))
    assert keys(on("p.public.log", records)) == [None]


def test_a_composite_key_keeps_the_order_of_the_key() -> None:
    stream = Stream()
    stream.describe(wire.relation(TODO, "public", "todo", COLUMNS, "f"), ("task", "id"))
    (record,) = on("p.public.todo", stream.transaction(wire.insert(TODO, [b"1", b"a"])))
    assert record.key == b'{"task":"a","id":1}'


def test_the_key_of_a_dropped_table_is_its_identity_unless_that_is_everything() -> None:
    stream = Stream()
    columns = [("id", 23, True), ("task", 25, False)]
    stream.describe(wire.relation(TODO, "public", "todo", columns, "d"), None)
    assert keys(on("p.public.todo", stream.transaction(wire.insert(TODO, [b"1", b"a"])))) == [
        {"id": 1}
    ]
    stream.describe(wire.relation(TODO, "public", "todo", COLUMNS, "f"), None)
    assert keys(on("p.public.todo", stream.transaction(wire.insert(TODO, [b"1", b"a"])))) == [None]


def test_names_with_quotes_percents_and_dots_stay_what_they_are() -> None:
    stream = Stream()
    columns = [('we"ird %s', 23, True)]
    stream.describe(wire.relation(TODO, "my schema", 'a.b "c" 100%', columns, "f"), ())
    (record,) = on("p.my_schema.a.b__c__100_", stream.transaction(wire.insert(TODO, [b"1"])))
    (value,) = values([record])
    assert value["after"] == {'we"ird %s': 1}
    assert (value["source"]["schema"], value["source"]["table"]) == ("my schema", 'a.b "c" 100%')


def test_a_truncate_is_one_event_a_table_and_has_its_ordinals() -> None:
    stream = Stream()
    stream.describe(wire.relation(TODO + 1, "public", "other", COLUMNS, "f"), ("id",))
    records = stream.transaction(wire.truncate([TODO, TODO + 1]))
    assert [value["op"] for value in values(on("p.public.todo", records))] == ["t"]
    assert [value["op"] for value in values(on("p.public.other", records))] == ["t"]
    assert [headers(r).get("ordinal") for r in on("p.wal", records)] == [None, b"1", b"2", b"2"]


def test_end_counts_the_events_of_each_table() -> None:
    records = Stream().transaction(
        wire.logical_message(transactional=True, lsn=5, prefix="x", content=b""),
        wire.insert(TODO, [b"1", b"a"]),
        wire.insert(TODO, [b"2", b"a"]),
    )
    end = values(on("p.transaction", records))[-1]
    assert end["event_count"] == 3
    assert {c["data_collection"]: c["event_count"] for c in end["data_collections"]} == {
        "LOGICAL_DECODING_MESSAGE": 1,
        "public.todo": 2,
    }


def test_a_transaction_of_the_sink_leaves_no_trace() -> None:
    assert Stream().transaction(wire.insert(CHANGES, [b"1", b"a"])) == []


def test_rows_of_the_sink_count_for_the_ordinals_of_others() -> None:
    records = Stream().transaction(
        wire.insert(CHANGES, [b"1", b"a"]), wire.insert(TODO, [b"1", b"a"])
    )
    assert [headers(r).get("ordinal") for r in on("p.wal", records)] == [None, b"2", b"2"]


def test_a_heartbeat_goes_to_its_own_topic_only() -> None:
    message = wire.logical_message(transactional=True, lsn=5, prefix="_bemi_heartbeat", content=b"")
    (record,) = Stream().transaction(message)
    assert (record.topic, record.key) == ("__debezium-heartbeat.p", b'{"serverName":"p"}')


def test_an_empty_transaction_is_reported_as_debezium_does() -> None:
    records = Stream().transaction()
    assert [value["status"] for value in values(on("p.transaction", records))] == ["BEGIN", "END"]


def test_a_message_outside_transactions_stays_off_wal() -> None:
    stream = Stream()
    message = wire.logical_message(transactional=False, lsn=5, prefix="x", content=b"\xff")
    (record,) = stream.feed(message)
    (value,) = values([record])
    assert record.topic == "p.message"
    assert value["message"] == {"prefix": "x", "content": "/w=="}
    assert value["transaction"] is None
    assert value["source"]["txId"] is None


def test_a_transaction_sent_again_after_a_cut_gives_the_same_ordinals() -> None:
    stream = Stream()
    stream.feed(wire.begin(2000, COMMIT_US, 7), wire.insert(TODO, [b"1", b"a"]))
    records = stream.transaction(wire.insert(TODO, [b"1", b"a"]))
    assert [headers(r).get("ordinal") for r in on("p.wal", records)] == [None, b"1", b"1"]


@pytest.mark.parametrize(("tables", "wal"), [(False, True), (True, False)])
def test_either_output_can_be_switched_off(tables: bool, wal: bool) -> None:
    records = Stream(tables=tables, wal=wal).transaction(wire.insert(TODO, [b"1", b"a"]))
    assert bool(on("p.wal", records)) == wal
    assert bool(on("p.public.todo", records)) == tables


def test_wal_stays_readable_whatever_the_tables_topics_have() -> None:
    stream = Stream(key_schemas=True, value_schemas=True)
    records = stream.transaction(wire.update(TODO, [b"1", b"a"], [b"2", b"a"]))
    deleted, _tombstone, created = on("p.public.todo", records)
    assert json.loads(created.key or b"")["payload"] == {"id": 2}
    assert json.loads(deleted.value or b"")["schema"]["name"] == "p.public.todo.Envelope"
    (change,) = [value for value in values(on("p.wal", records)) if "op" in value]
    assert (change["op"], change["before"]["id"], change["after"]["id"]) == ("u", 1, 2)


NOT_NULL = {"id": CatalogColumn(not_null=True), "task": CatalogColumn(not_null=True)}
DEFAULT_IDENTITY = wire.relation(
    TODO, "public", "todo", [("id", 23, True), ("task", 25, False)], "d"
)


def test_what_was_not_sent_is_null_in_a_format_bound_to_a_schema() -> None:
    stream = Stream(value_schemas=True)
    stream.describe(DEFAULT_IDENTITY, ("id",), columns=NOT_NULL)
    records = stream.transaction(wire.delete(TODO, [b"1", None], is_full=False))
    record = values(on("p.public.todo", records))[0]
    assert record["payload"]["before"] == {"id": 1, "task": None}
    fields = record["schema"]["fields"][0]["fields"]
    assert {field["field"]: field["optional"] for field in fields} == {"id": False, "task": True}


def test_debeziums_values_invent_what_was_not_sent() -> None:
    stream = Stream(modes=replace(READABLE, debezium_values=True))
    stream.describe(DEFAULT_IDENTITY, ("id",), columns=NOT_NULL)
    records = stream.transaction(wire.delete(TODO, [b"1", None], is_full=False))
    assert values(on("p.public.todo", records))[0]["before"] == {"id": 1, "task": ""}


@pytest.mark.parametrize("replaces", [False, True])
def test_a_stored_null_is_its_columns_default_only_if_asked_for(replaces: bool) -> None:
    stream = Stream(replace_null_with_default=replaces, value_schemas=True)
    task = {"task": CatalogColumn(default_expression="'x'::text")}
    stream.describe(wire.relation(TODO, "public", "todo", COLUMNS, "f"), ("id",), columns=task)
    (record,) = values(on("p.public.todo", stream.transaction(wire.insert(TODO, [b"1", None]))))
    assert record["payload"]["after"] == {"id": 1, "task": "x" if replaces else None}


def test_skipped_operations_are_published_nowhere_but_counted_in_ordinals() -> None:
    records = Stream(Output(skipped_operations=frozenset("ct"))).transaction(
        wire.insert(TODO, [b"1", b"a"]), wire.truncate([TODO]), wire.delete(TODO, [b"1", b"a"])
    )
    assert [v["op"] for v in values(on("p.public.todo", records)) if v] == ["d"]
    assert [headers(r).get("ordinal") for r in on("p.wal", records)] == [None, b"3", b"3"]


@pytest.mark.parametrize(
    ("skipped", "left", "orders"),
    [
        ("", ["d", None, "c"], [1, 2]),
        ("u", ["d", None, "c"], [1, 2]),
        ("d", ["c"], [1]),
        ("c", ["d", None], [1]),
        ("dc", [], []),
    ],
)
def test_a_changed_key_is_skipped_by_the_letters_of_its_delete_and_its_create(
    skipped: str, left: list[str | None], orders: list[int]
) -> None:
    stream = Stream(Output(skipped_operations=frozenset(skipped)), wal=False)
    records = stream.transaction(wire.update(TODO, [b"1", b"a"], [b"2", b"a"]))
    found = values(on("p.public.todo", records))
    assert [value and value["op"] for value in found] == left
    assert [v["transaction"]["total_order"] for v in found if v] == orders


def test_heartbeats_of_another_producer_are_dropped_where_none_are_wanted() -> None:
    message = wire.logical_message(transactional=True, lsn=5, prefix="_bemi_heartbeat", content=b"")
    assert Stream(Output(heartbeats=False)).transaction(message) == []


def test_a_key_column_that_is_excluded_from_values_stays_in_the_key() -> None:
    stream = Stream(wal=False)
    rules = TableRules(captures_column=lambda name: name != "id")
    relation = pgoutput.decode(wire.relation(TODO, "public", "todo", COLUMNS, "f"))
    assert isinstance(relation, pgoutput.Relation)
    facts = CatalogFacts(key=("id",), types=TYPES)
    stream.events.describe(shape(relation, facts, READABLE, rules))
    (record,) = on("p.public.todo", stream.transaction(wire.insert(TODO, [b"1", b"a"])))
    assert (keys([record]), values([record])[0]["after"]) == ([{"id": 1}], {"task": "a"})


def test_debeziums_values_invent_a_key_that_was_not_sent() -> None:
    stream = Stream(modes=replace(READABLE, debezium_values=True), wal=False)
    stream.describe(DEFAULT_IDENTITY, ("task",), columns=NOT_NULL)
    records = stream.transaction(wire.delete(TODO, [b"1", None], is_full=False))
    assert keys(on("p.public.todo", records)) == [{"task": ""}, {"task": ""}]


def test_an_update_that_changes_nothing_is_left_out_only_if_asked_for() -> None:
    update = wire.update(TODO, [b"1", b"a"], [b"1", b"a"])
    assert on("p.public.todo", Stream().transaction(update))
    stream = Stream(Output(skip_messages_without_change=True))
    assert on("p.public.todo", stream.transaction(update)) == []


def test_a_null_that_is_written_as_the_default_is_no_default() -> None:
    stream = Stream(
        Output(skip_messages_without_change=True), replace_null_with_default=True, modes=DEBEZIUMS
    )
    stream.describe(
        wire.relation(TODO, "public", "todo", COLUMNS, "f"),
        ("id",),
        columns={"task": CatalogColumn(default_expression="'a'::text")},
    )
    default: wire.TupleData = [b"1", b"a"]
    null: wire.TupleData = [b"1", None]
    for before, after in ((default, null), (null, default)):
        (record,) = on("p.public.todo", stream.transaction(wire.update(TODO, before, after)))
        assert record.value is not None
        event = json.loads(record.value)
        assert event["before"] == event["after"] == {"id": 1, "task": "a"}
    for row in (default, null):
        records = stream.transaction(wire.update(TODO, row, row))
        assert on("p.public.todo", records) == []


def test_messages_of_other_prefixes_stay_off_their_topic_but_not_off_wal() -> None:
    stream = Stream(Output(publishes_message=lambda prefix: prefix == "mine"))
    message = wire.logical_message(transactional=True, lsn=5, prefix="_bemi", content=b"{}")
    records = stream.transaction(message)
    assert on("p.message", records) == []
    assert [v.get("op") for v in values(on("p.wal", records))] == [None, "m", None]


def test_a_gap_is_told_whatever_prefixes_are_left_out() -> None:
    stream = Stream(Output(publishes_message=lambda _prefix: False))
    message = wire.logical_message(transactional=True, lsn=5, prefix="_bemi_gap", content=b"{}")
    assert on("p.message", stream.transaction(message))


def test_an_ignored_relation_has_no_events_and_keeps_its_ordinals() -> None:
    stream = Stream()
    stream.events.ignore(TODO + 1)
    records = stream.transaction(
        wire.insert(TODO + 1, [b"1", b"a"]), wire.insert(TODO, [b"1", b"a"])
    )
    assert [headers(r).get("ordinal") for r in on("p.wal", records)] == [None, b"2", b"2"]


def test_each_record_of_a_row_carries_the_configured_headers_and_no_other_does() -> None:
    context = [("__debezium.context.taskId", b"0")]
    records = Stream(Output(headers=context)).transaction(wire.delete(TODO, [b"1", b"a"]))
    assert {record.topic for record in records if record.headers == context} == {"p.public.todo"}


def test_a_replicated_transaction_names_its_origin() -> None:
    records = Stream().transaction(wire.origin(77, "elsewhere"), wire.insert(TODO, [b"1", b"a"]))
    (value,) = values(on("p.public.todo", records))
    assert (value["source"]["origin"], value["source"]["origin_lsn"]) == ("elsewhere", 77)


def test_a_row_of_an_undescribed_relation_is_refused() -> None:
    with pytest.raises(UnknownRelation):
        Stream().transaction(wire.insert(1, [b"1"]))


def test_a_row_with_other_columns_than_described_is_refused() -> None:
    with pytest.raises(MalformedMessage, match=r"public\.todo"):
        Stream().transaction(wire.insert(TODO, [b"1"]))


def test_a_change_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        Stream().feed(wire.insert(TODO, [b"1", b"a"]))
