"""Names of topics and the partition of a transaction."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import MAX_TOPIC_LENGTH, Topics, transaction_partition, wal_headers


def test_a_tables_topic_is_prefix_schema_table() -> None:
    assert Topics("p").table("public", "todo") == "p.public.todo"


@given(st.text(max_size=63), st.text(max_size=300))
def test_any_table_has_a_legal_topic(pg_schema: str, table: str) -> None:
    name = Topics("p").table(pg_schema, table)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    assert len(name) <= MAX_TOPIC_LENGTH


@given(st.integers(0, 2**32 - 1), st.integers(1, 1000))
def test_any_transaction_has_a_partition(xid: int, partitions: int) -> None:
    assert 0 <= transaction_partition(xid, partitions) < partitions


def test_transactions_spread_evenly_over_partitions() -> None:
    counts = [0] * 4
    for xid in range(1000):
        counts[transaction_partition(xid, 4)] += 1
    assert counts == [250] * 4


def test_begin_has_no_ordinal() -> None:
    assert wal_headers(b"e", 5, None) == [("epoch", b"e"), ("commit_lsn", b"5")]
    assert wal_headers(b"e", 5, 0)[-1] == ("ordinal", b"0")
