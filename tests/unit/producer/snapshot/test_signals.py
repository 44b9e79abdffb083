"""Signals: what each asks for, and that none can do harm."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.snapshot.signals import (
    ExecuteSnapshot,
    LogMessage,
    PauseSnapshot,
    ResumeSnapshot,
    Signal,
    SignalRefused,
    StopSnapshot,
    parse_signal,
    parse_signal_record,
)

ITEM = "public.item"

SIGNALS: list[tuple[str, Any, Signal | None]] = [
    ("execute-snapshot", {"data-collections": [ITEM]}, ExecuteSnapshot((ITEM,))),
    (
        "execute-snapshot",
        {"data-collections": [ITEM], "type": "INCREMENTAL", "surrogate-key": ""},
        ExecuteSnapshot((ITEM,)),
    ),
    (
        "execute-snapshot",
        {
            "data-collections": [ITEM],
            "additional-conditions": [{"data-collection": ITEM, "filter": "id > 1"}],
        },
        ExecuteSnapshot((ITEM,), ((ITEM, "id > 1"),)),
    ),
    ("stop-snapshot", {"type": "incremental"}, StopSnapshot()),
    ("stop-snapshot", {"data-collections": [ITEM]}, StopSnapshot((ITEM,))),
    ("pause-snapshot", None, PauseSnapshot()),
    ("resume-snapshot", {}, ResumeSnapshot()),
    ("log", {"message": "here"}, LogMessage("here")),
    ("snapshot-window-open", None, None),
    ("snapshot-window-close", "anything", None),
]

REFUSED = [
    ("execute-snapshot", {}),
    ("execute-snapshot", {"data-collections": ITEM}),
    ("execute-snapshot", {"data-collections": [1]}),
    ("execute-snapshot", {"data-collections": [ITEM], "type": "blocking"}),
    ("execute-snapshot", {"data-collections": [ITEM], "surrogate-key": "id"}),
    ("execute-snapshot", {"data-collections": [ITEM], "additional-conditions": [1]}),
    ("execute-snapshot", {"data-collections": [ITEM], "additional-condition": "1=1; DROP"}),
    ("execute-snapshot", [ITEM]),
    ("schema-changes", {}),
]


@pytest.mark.parametrize(("kind", "data", "signal"), SIGNALS)
def test_a_signal_asks_for_what_its_data_say(kind: str, data: Any, signal: Signal | None) -> None:
    assert parse_signal(kind, None if data is None else json.dumps(data)) == signal


@pytest.mark.parametrize(("kind", "data"), REFUSED)
def test_what_is_not_understood_is_refused(kind: str, data: Any) -> None:
    with pytest.raises(SignalRefused):
        parse_signal(kind, json.dumps(data))


def test_data_nested_too_deep_are_refused() -> None:
    with pytest.raises(SignalRefused):
        parse_signal("log", "[" * 100_000)


def test_the_data_of_a_record_is_an_object_or_its_text() -> None:
    data = {"data-collections": [ITEM]}
    for written in (data, json.dumps(data)):
        record = {"id": "a", "type": "execute-snapshot", "data": written}
        assert parse_signal_record(json.dumps(record).encode()) == ("a", ExecuteSnapshot((ITEM,)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_record_is_a_signal_or_refused(value: bytes) -> None:
    with suppress(SignalRefused):
        parse_signal_record(value)


@given(
    st.sampled_from([kind for kind, _, _ in SIGNALS]),
    st.dictionaries(
        st.sampled_from(["data-collections", "type", "additional-conditions", "message"]),
        json_values,
    ),
)
def test_any_data_is_a_signals_or_refused(kind: str, data: dict[str, Any]) -> None:
    with suppress(SignalRefused):
        parse_signal(kind, json.dumps(data))
