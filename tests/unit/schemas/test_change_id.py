"""The identity of a change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change_id import (
    Epoch,
    change_uuid,
    format_lsn,
    parse_lsn,
    transaction_seed,
)

lsns = st.integers(0, 2**64 - 1)
times = st.integers(0, 2**47)


@given(lsns)
def test_any_lsn_round_trips(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


def test_an_lsn_is_written_as_postgresql_writes_it() -> None:
    assert format_lsn(0x16B374D848) == "16/B374D848"


epochs = st.builds(
    Epoch,
    st.integers(0, 2**64 - 1),
    st.integers(1, 100),
    st.integers(1, 1000),
    st.from_regex(r"[a-z0-9_]{1,63}", fullmatch=True),
    st.text(min_size=1, max_size=63),
    # Of the ids of one topic or two, in Kafka's base64.
    st.from_regex(r"([A-Za-z0-9_-]{8}){0,2}", fullmatch=True),
)


@given(epochs)
def test_any_epoch_round_trips(epoch: Epoch) -> None:
    assert Epoch.parse(str(epoch)) == epoch


@given(epochs, epochs)
def test_different_epochs_have_different_texts(one: Epoch, other: Epoch) -> None:
    assert (str(one) == str(other)) == (one == other)


def test_a_text_that_is_no_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="not an epoch"):
        Epoch.parse("1.2.3")


@given(st.text(), lsns, times, st.integers(0, 2**31))
def test_an_id_is_a_uuid_of_version_8_and_the_same_each_time(
    source: str, lsn: int, time_us: int, ordinal: int
) -> None:
    one = change_uuid(transaction_seed(source, lsn, time_us), ordinal)
    assert one == change_uuid(transaction_seed(source, lsn, time_us), ordinal)
    assert (one.version, one.variant) == (8, "specified in RFC 4122")


@given(lsns, times, st.lists(st.integers(0, 2**31), unique=True))
def test_ids_within_a_transaction_differ(lsn: int, time_us: int, ordinals: list[int]) -> None:
    seed = transaction_seed("1.shop", lsn, time_us)
    assert len({change_uuid(seed, ordinal) for ordinal in ordinals}) == len(ordinals)


@given(lsns, lsns, times, st.integers(1, 2**40), st.integers(0, 1000), st.integers(0, 1000))
def test_a_later_commit_has_greater_ids(
    lsn: int, later_lsn: int, time_us: int, passed_us: int, ordinal: int, later_ordinal: int
) -> None:
    earlier = change_uuid(transaction_seed("1.shop", lsn, time_us), ordinal)
    later = change_uuid(transaction_seed("1.shop", later_lsn, time_us + passed_us), later_ordinal)
    assert earlier < later


def test_sources_and_commits_have_ids_of_their_own() -> None:
    ids = {
        change_uuid(transaction_seed(source, lsn, 5), 1)
        for source in ("1.a", "1.b")
        for lsn in (10, 11)
    }
    assert len(ids) == 4
