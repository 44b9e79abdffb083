"""Hashed columns: what takes their place, in every format, and what cannot be set."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.paths import REPOSITORY
from producer import pgoutput
from producer.avro_events import AvroEvents
from producer.avro_serializer import AvroSerializer
from producer.column_types.column_type import READABLE, ValueModes
from producer.column_types.keyed_hash import KeyedHash
from producer.configuration.column_rules import ColumnRules
from producer.connect_events import ConnectEvents, JsonSerializer
from producer.event_source import Server
from producer.event_writer import WriterOptions
from producer.json_events import JsonEvents
from producer.open_transaction import OpenTransaction
from producer.settings import ProducerSettings
from producer.table_shape import CatalogColumn, CatalogFacts, TableRules, TableShape, shape
from runtime.settings import InvalidSettings
from schemas.change_id import Lsn, Xid
from schemas.topics import Topics
from tests.unit.producer import pgoutput_bytes as wire
from tests.unit.producer.pgoutput_bytes import UNCHANGED
from tests.unit.producer.test_row_events_properties import TYPES, event, good_texts

KEY = "0123456789abcdef"
PAGE = REPOSITORY / "docs" / "privacy.md"
ALL = KeyedHash.of(["public[.]t[.]c.*"], KEY)
MODES = [ValueModes(), READABLE, ValueModes(debezium_values=True)]


def pseudonym(text: bytes) -> str:
    return hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()


def shaped(
    oids: list[int], modes: ValueModes, rules: TableRules, default: str | None = None
) -> TableShape:
    described = [(f"c{i}", oid, True) for i, oid in enumerate(oids)]
    message = pgoutput.decode(wire.relation(5, "public", "t", described, "f"))
    assert isinstance(message, pgoutput.Relation)
    columns = {f"c{i}": CatalogColumn(i == 0, default) for i in range(len(oids))}
    return shape(message, CatalogFacts(key=("c0",), columns=columns, types=TYPES), modes, rules)


def transaction() -> OpenTransaction:
    opened = OpenTransaction(pgoutput.Begin(Lsn(9), 10**15, Xid(7)), Lsn(8), None)
    opened.count_event("public.t")
    return opened


class Registry:
    def __init__(self) -> None:
        self.schemas: list[str] = []

    def id_of(self, subject: str, schema: str) -> int:
        self.schemas.append(schema)
        return len(self.schemas)


def read_avro(registry: Registry, record: bytes | None) -> Any:
    assert record is not None
    schema = json.loads(registry.schemas[int.from_bytes(record[1:5], "big") - 1])
    return fastavro.schemaless_reader(io.BytesIO(record[5:]), fastavro.parse_schema(schema), None)


def written(writer: Any, table: TableShape, payload: bytes) -> tuple[bytes, bytes]:
    relation = writer.relation(table, "p.public.t")
    op, _, key, before, after = event(relation, payload)
    value = writer.change(relation, transaction(), Lsn(5), op, before, after, 10**15)
    return writer.key(relation, key), value


def in_each_format(table: TableShape, modes: ValueModes, payload: bytes) -> list[tuple[Any, Any]]:
    """Return key and event as JSON with and without schemas and Avro have them."""
    options = WriterOptions(Server("p", "shop"), modes)
    registry, serializer = Registry(), JsonSerializer(with_schema=False)
    texts = [
        written(JsonEvents(options), table, payload),
        written(ConnectEvents(options, Topics("p"), serializer, serializer), table, payload),
    ]
    avro = written(AvroEvents(options, Topics("p"), AvroSerializer(registry)), table, payload)
    return [
        *((json.loads(key), json.loads(value)) for key, value in texts),
        (read_avro(registry, avro[0]), read_avro(registry, avro[1])),
    ]


@settings(deadline=None)  # It compiles code for each table.
@given(
    st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=5).flatmap(
        lambda oids: st.tuples(st.just(oids), st.tuples(*(good_texts[oid] for oid in oids)))
    ),
    st.sampled_from(MODES),
)
def test_a_value_of_any_type_is_its_hash_in_key_before_and_after_of_every_format(
    drawn: tuple[list[int], tuple[bytes, ...]], modes: ValueModes
) -> None:
    oids, texts = drawn
    table = shaped(oids, modes, TableRules(keyed_hash=ALL))
    # What Debezium leaves out is left out here, too: arrays, where it is asked for its values.
    kept = [number for number, column in enumerate(table.columns) if column.type is not None]
    row = {f"c{number}": pseudonym(texts[number]) for number in kept}
    for key, value in in_each_format(table, modes, wire.update(5, list(texts), list(texts))):
        assert key == {"c0": row["c0"]} if 0 in kept else key is None
        assert (value["before"], value["after"]) == (row, row)


def test_null_and_what_was_not_sent_stay_readable() -> None:
    table = shaped([20, 23, 17], ValueModes(), TableRules(keyed_hash=ALL))
    payload = wire.update(5, None, [b"1", None, UNCHANGED])
    expected = {"c0": pseudonym(b"1"), "c1": None, "c2": "__debezium_unavailable_value"}
    for _, value in in_each_format(table, ValueModes(), payload):
        assert value["after"] == expected


def test_equal_values_of_other_columns_and_types_have_the_same_hash() -> None:
    assert ALL.pseudonym(b"7") == KeyedHash.of(["x"], KEY).pseudonym(b"7")
    assert ALL.pseudonym(b"7") != KeyedHash.of(["x"], KEY[::-1]).pseudonym(b"7")


def test_columns_that_are_not_named_stay_as_they_are() -> None:
    rules = TableRules(keyed_hash=KeyedHash.of(["public.t.c1"], KEY))
    for key, value in in_each_format(
        shaped([20, 25], READABLE, rules), READABLE, wire.insert(5, [b"1", b"secret"])
    ):
        assert (key, value["after"]) == ({"c0": 1}, {"c0": 1, "c1": pseudonym(b"secret")})


@pytest.mark.parametrize("modes", MODES)
def test_the_schema_says_masked_and_has_no_default_of_the_column(modes: ValueModes) -> None:
    rules = TableRules(keyed_hash=ALL, propagates_type=lambda _column, _type: False)
    for column in shaped([25, 25], modes, rules, default="'secret'::text").columns:
        assert column.schema is not None
        assert (column.schema.type, column.schema.default) == ("string", None)
        assert column.schema.parameters == (("masked", "true"),)
        assert column.zero in (None, "")


def test_the_hash_goes_before_a_rule_for_the_same_column() -> None:
    masks = ColumnRules({"column.mask.with.3.chars": "public.t.c1"})
    rules = TableRules(rule_for=masks.rule_for, keyed_hash=ALL)
    (_, value), *_ = in_each_format(
        shaped([20, 25], READABLE, rules), READABLE, wire.insert(5, [b"1", b"secret"])
    )
    assert value["after"]["c1"] == pseudonym(b"secret")


def test_the_page_on_privacy_tells_what_stands_for_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hmac.key").write_text(f"{KEY}\n")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block.replace("hmac.new(key", "found = hmac.new(key"), names)  # noqa: S102
    assert names["found"] == ALL.pseudonym(b"erika@example.com")


COLUMNS = "BEMI_PRODUCER_COLUMN_HMAC"


@pytest.mark.parametrize(("key", "says"), [("", "is missing"), ("short", "fewer than 16")])
def test_columns_without_a_key_that_cannot_be_guessed_are_refused(key: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"{says}.*openssl rand") as caught:
        ProducerSettings.from_environ({COLUMNS: "public.user.email", f"{COLUMNS}_KEY": key})
    assert "short" not in str(caught.value)


def test_the_key_may_come_from_a_file_and_is_never_shown(tmp_path: Any) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    found = ProducerSettings.from_environ(
        {COLUMNS: "public.user.email", f"{COLUMNS}_KEY_FILE": str(tmp_path / "key")}
    )
    assert found.column_hmac_key.get_secret_value() == KEY
    assert KEY not in repr(found)
