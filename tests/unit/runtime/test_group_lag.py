"""What a group wrote beside its offset, as librdkafka gives it."""

from __future__ import annotations

from typing import cast

from confluent_kafka import TopicPartition

from runtime.group_lag import PartitionLag, _note


class Unreadable:
    """A place whose note is followed by bytes that are no text."""

    @property
    def metadata(self) -> str:
        return b"id\xa3".decode()


def test_what_follows_a_note_in_memory_is_not_part_of_it() -> None:
    assert PartitionLag(0, 5, 3, "id").is_noted("id")
    assert PartitionLag(0, 5, 3, "id\x01!").is_noted("id")
    assert not PartitionLag(0, 5, 3, "another").is_noted("id")
    assert not PartitionLag(0, 5, 3, "").is_noted("id")


def test_an_offset_without_a_note_is_noted_nothing() -> None:
    assert PartitionLag(0, 5, 3).is_noted("")
    assert not PartitionLag(0, 5, 3, "id").is_noted("")


def test_a_note_that_cannot_be_read_this_time_is_none() -> None:
    assert _note(cast("TopicPartition", Unreadable())) == ""
    assert _note(TopicPartition("bemi.wal", 0, 3, "id")) == "id"
