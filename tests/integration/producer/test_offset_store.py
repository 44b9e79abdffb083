"""The offset store on a real broker: what was stored is there for whoever opens it next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer

from producer.errors import OffsetsUnreadable
from producer.offset_store import OffsetStore, OffsetWriter, offset_key
from producer.source_state import StoredOffset
from schemas.change_id import Lsn
from tests.fixtures.kafka import KafkaBroker
from tests.fixtures.waiting import eventually

FLUSH_SECONDS = 30.0
OFFSET = StoredOffset(7, 1, "shop", "bemi", "bemi", Lsn(100))


class Stores:
    """Opens the same store again and again, as producers do one after the other."""

    def __init__(self, kafka_broker: KafkaBroker, topic: str) -> None:
        self.client = {"bootstrap.servers": kafka_broker.bootstrap_servers}
        self.topic = topic
        self._opened: list[OffsetStore] = []

    def open(self) -> OffsetStore:
        store = OffsetStore.open(self.client, self.topic)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def stores(kafka_broker: KafkaBroker, topic_prefix: str) -> Iterator[Stores]:
    with closing(Stores(kafka_broker, f"{topic_prefix}.producer-offsets")) as opened:
        yield opened


def test_the_latest_value_of_each_key_is_there_for_the_next_to_open_it(stores: Stores) -> None:
    store = stores.open()
    assert store.get("a") is None
    store.put("a", {"n": 1})
    store.put("a", {"n": 2})
    store.put("snapshot/x", {"n": 3})
    store.put("snapshot/y", {"n": 4})
    store.delete("snapshot/y")
    assert store.get("a") == {"n": 2}
    assert store.flush(FLUSH_SECONDS)
    again = stores.open()
    assert again.get("a") == {"n": 2}
    assert again.items("snapshot/") == {"snapshot/x": {"n": 3}}


def test_a_value_counts_as_stored_only_once_kafka_has_it(stores: Stores) -> None:
    store = stores.open()
    stored: list[str] = []
    store.put("a", {}, lambda: stored.append("a"))
    assert stored == []
    store.flush(FLUSH_SECONDS)
    assert stored == ["a"]


def test_nothing_is_stored_while_kafka_is_away_and_everything_once_it_is_back(
    stores: Stores, kafka_broker: KafkaBroker
) -> None:
    store = stores.open()
    kafka_broker.kill()
    store.put("a", {"n": 1})
    assert not store.flush(1.0)
    kafka_broker.start()
    assert eventually(lambda: store.flush(1.0), 60)
    assert stores.open().get("a") == {"n": 1}


def test_a_position_is_confirmable_once_it_is_stored_and_not_before(stores: Stores) -> None:
    store = stores.open()
    checks: list[str] = []
    writer = OffsetWriter(store, OFFSET, lambda: checks.append("looked"))
    writer.advance(Lsn(100), 0.0)
    assert checks == []
    writer.advance(Lsn(200), 1.0)
    assert writer.confirmable_lsn == 100

    def is_confirmable() -> bool:
        writer.advance(Lsn(200), 1.0)
        return writer.confirmable_lsn == 200

    eventually(is_confirmable)
    writer.finish(Lsn(300), FLUSH_SECONDS)
    assert writer.confirmable_lsn == 300
    assert checks == ["looked", "looked"]
    found = stores.open().get(offset_key("bemi"))
    assert found is not None
    assert StoredOffset.from_json(found) == OFFSET.at(Lsn(300))


def test_nothing_is_written_that_the_check_before_refuses(stores: Stores) -> None:
    def refuse() -> None:
        raise OffsetsUnreadable

    writer = OffsetWriter(stores.open(), OFFSET, refuse)
    with pytest.raises(OffsetsUnreadable):
        writer.advance(Lsn(200), 0.0)
    assert writer.confirmable_lsn == 100
    assert stores.open().get(offset_key("bemi")) is None


@pytest.mark.parametrize("value", [b"no JSON", b"[]", b"\xff"])
def test_what_the_producer_has_not_written_is_refused_by_name(stores: Stores, value: bytes) -> None:
    stores.open()
    producer = Producer(stores.client)
    producer.produce(stores.topic, value, offset_key("bemi"))
    producer.flush(FLUSH_SECONDS)
    store = stores.open()
    with pytest.raises(OffsetsUnreadable, match="offset/bemi"):
        store.get(offset_key("bemi"))
