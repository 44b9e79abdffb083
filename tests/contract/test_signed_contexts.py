"""What the Django package signs, the stitcher verifies."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.django_site import configure

configure()

from django.test import override_settings  # noqa: E402

from bemi.checks import check_context_key  # noqa: E402 - Django has to be configured first.
from bemi.statements import COMMENT_END, COMMENT_START, Form, encode_context  # noqa: E402
from stitcher_stream.contexts import ContextRules, read_context  # noqa: E402
from stitcher_stream.signatures import VERIFIED  # noqa: E402

KEY = b"0123456789abcdef"
OTHER_KEY = b"fedcba9876543210"
RULES = ContextRules(keys=(OTHER_KEY, KEY))

texts = st.text(st.characters(exclude_categories=["Cs"]))
contexts = st.dictionaries(
    texts.filter(lambda name: name not in (VERIFIED, "SQL", "_xid")),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts),
)


def sent(context: dict[str, Any], key: bytes | None) -> str:
    comment = encode_context(context, "", Form(10**6, key))
    assert comment is not None
    assert comment.count("*/") == 1
    return comment[len(COMMENT_START) : -len(COMMENT_END)]


def read(text: str) -> dict[str, Any]:
    context, error = read_context(b64encode(text.encode()).decode(), RULES, 7)
    assert error is None
    return context


@given(contexts)
def test_any_signed_context_arrives_whole_and_verified(context: dict[str, Any]) -> None:
    assert read(sent(context, KEY)) == {**context, VERIFIED: True}


@given(contexts)
def test_an_unsigned_one_arrives_whole_and_is_not_verified(context: dict[str, Any]) -> None:
    assert read(sent(context, None)) == {**context, VERIFIED: False}


@pytest.mark.parametrize("key", [b"another key, as long as it should be", KEY.upper()])
def test_what_another_key_signed_is_not_verified(key: bytes) -> None:
    assert read(sent({"user_id": 1}, key)) == {"user_id": 1, VERIFIED: False}


def test_what_was_changed_after_signing_is_not_verified() -> None:
    envelope = json.loads(sent({"user_id": 1}, KEY))
    envelope["_signed"] = envelope["_signed"].replace("1", "2")
    assert read(json.dumps(envelope)) == {"user_id": 2, VERIFIED: False}


@override_settings(BEMI_CONTEXT_KEY="too short")
def test_a_key_that_could_be_guessed_is_refused_by_both() -> None:
    from stitcher_stream.signatures import parse_keys

    assert [message.id for message in check_context_key(None)] == ["bemi.E004"]
    with pytest.raises(ValueError, match="openssl rand"):
        parse_keys("too short")
