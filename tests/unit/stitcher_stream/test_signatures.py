"""Contexts that are signed, forged or replayed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from runtime.settings import InvalidSettings
from stitcher_stream.change_rules import context_rules
from stitcher_stream.contexts import Context, ContextRules, read_context
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.signatures import parse_keys

KEY = b"0123456789abcdef"
OTHER_KEY = b"another key of the same length"
XID = 7


def signed(text: str, key: bytes = KEY) -> str:
    """Return the envelope of a context's text, as docs/stitcher.md shows it."""
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"_signed": text, "_signature": signature})


def read(message: str, *keys: bytes, xid: object = XID) -> Context:
    content = base64.b64encode(message.encode()).decode()
    context, error = read_context(content, ContextRules(keys=keys), xid)
    assert error is None
    assert json.loads(context.encoded) == context
    # Also to who takes the first of two members.
    first = json.loads(context.encoded, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert first == context
    return context


def test_signed_context_is_taken_out_of_its_envelope_and_says_that_it_verified() -> None:
    text = '{ "user_id": 7,\n "n": 1.10 }'
    context = read(signed(text), KEY)
    assert context == {"user_id": 7, "n": 1.1, "_verified": True}
    assert context.encoded == b'{ "user_id": 7,\n "n": 1.10,"_verified":true}'


@pytest.mark.parametrize("text", ["{}", "{ }", " {\n} "])
def test_empty_context_verifies(text: str) -> None:
    assert read(signed(text), KEY) == {"_verified": True}


def test_envelope_may_be_formatted_by_whoever_passes_it_on() -> None:
    envelope = json.loads(signed('{"name": "é\\ud800", "n": 1}'))
    reordered = {"_signature": envelope["_signature"].upper(), "_signed": envelope["_signed"]}
    for ensure_ascii in (True, False):
        text = json.dumps(reordered, indent=2, ensure_ascii=ensure_ascii)
        assert read(text, KEY)["_verified"] is True


@pytest.mark.parametrize("keys", [(KEY, OTHER_KEY), (OTHER_KEY, KEY)])
def test_any_of_several_keys_verifies_so_that_keys_can_be_changed(keys: tuple[bytes, ...]) -> None:
    assert read(signed('{"n": 1}'), *keys)["_verified"] is True


@pytest.mark.parametrize(
    "message",
    [
        '{"n": 1}',
        signed('{"n": 1}', OTHER_KEY),
        signed('{"n": 1}').replace("1}", "2}"),
        signed('{"n": 1}').replace('_signature": "', '_signature": "0'),
        '{"_signed": "{\\"n\\": 1}", "_signature": ""}',
        '{"_signed": "{\\"n\\": 1}", "_signature": "é"}',
        signed('{"n": 1, "_verified": true}', OTHER_KEY),
        '{"n": 1, "_verified": true}',
        '{"_verified": true, "n": 1, "_verified": true}',
        '{"n": 1, "\\u005fverified": true}',
    ],
)
def test_context_that_nobody_signed_can_not_say_that_it_verified(message: str) -> None:
    assert read(message, KEY)["_verified"] is False


def test_without_a_key_nothing_verifies_and_nothing_is_added() -> None:
    assert read('{"n": 1}') == {"n": 1}
    assert read(signed('{"n": 1}')) == {"n": 1}
    assert read('{"n": 1, "_verified": true}') == {"n": 1, "_verified": False}


@pytest.mark.parametrize(
    "message",
    [
        '{"_signed": {"n": 1}, "_signature": "ab"}',
        '{"_signed": "{}"}',
        '{"_signed": "{}", "_signature": "ab", "more": 1}',
        '{"_signed": "\\ud800", "_signature": "ab"}',
    ],
)
def test_what_is_no_envelope_is_a_context_like_any_other(message: str) -> None:
    assert read(message, KEY) == json.loads(message) | {"_verified": False}


@pytest.mark.parametrize("text", ["", "1", "[]", "{", '{"a":' * 200 + "1" + "}" * 200])
def test_signed_text_that_is_no_context_is_left_out_with_a_note(text: str) -> None:
    content = base64.b64encode(signed(text).encode()).decode()
    context, error = read_context(content, ContextRules(keys=(KEY,)), XID)
    assert context == {}
    assert error


@pytest.mark.parametrize("named", ["7", '"7"', str((3 << 32) + 7), '"12884901895"'])
def test_context_signed_for_its_transaction_verifies_there(named: str) -> None:
    assert read(signed(f'{{"_xid": {named}}}'), KEY)["_verified"] is True


@pytest.mark.parametrize(
    "named", ["8", '"8"', "null", "true", "[7]", "7.0", '"x"', '"' + "7" * 99 + '"']
)
def test_context_signed_for_another_transaction_does_not_verify(named: str) -> None:
    assert read(signed(f'{{"_xid": {named}}}'), KEY)["_verified"] is False
    assert read(signed('{"_xid": 7}'), KEY, xid=None)["_verified"] is False


def test_keys_come_from_the_lines_of_a_file() -> None:
    assert parse_keys(f"\n  {KEY.decode()}\n\n{OTHER_KEY.decode()}\n") == (KEY, OTHER_KEY)
    settings = StitcherSettings.from_environ({"BEMI_STITCHER_CONTEXT_KEY": KEY.decode()})
    assert context_rules(settings).keys == (KEY,)
    assert context_rules(StitcherSettings.from_environ({})) == ContextRules()


def test_key_that_can_be_guessed_is_refused_without_being_told() -> None:
    with pytest.raises(InvalidSettings, match="openssl rand") as refused:
        StitcherSettings.from_environ({"BEMI_STITCHER_CONTEXT_KEY": "secret"})
    assert "secret" not in str(refused.value)
