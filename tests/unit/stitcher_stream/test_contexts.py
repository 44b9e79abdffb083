"""Reading the context of a `_bemi` message."""

from __future__ import annotations

import base64
import json

import pytest

from stitcher_stream.contexts import MAX_CONTEXT_DEPTH, ContextRules, read_context


def content(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode()


def test_context_is_kept_as_the_text_it_was_sent_as() -> None:
    encoded = b'{ "user_id": 1,\n "n": 1.10, "big": 123456789012345678901234567890 }'
    context, error = read_context(content(encoded))
    assert error is None
    assert context.encoded == encoded
    assert context["user_id"] == 1


@pytest.mark.parametrize(
    "encoded", [rb'{"a": "\ud800"}', rb'{"\udfff": 1}', rb'{"a": "\u0000"}', rb'{"a": "\ud83d"}']
)
def test_lone_surrogates_and_nul_are_legal(encoded: bytes) -> None:
    context, error = read_context(content(encoded))
    assert error is None
    assert context == json.loads(encoded)


@pytest.mark.parametrize(
    "encoded",
    [b'{"a": NaN}', b'{"a": Infinity, "b": "\\ud800"}', b"{'a': 1}", b'{"a": 1,}', b'\xff{"a":1}'],
)
def test_what_only_python_calls_json_is_refused(encoded: bytes) -> None:
    assert read_context(content(encoded)).error == "its context is not valid JSON"


def test_nesting_is_allowed_up_to_the_limit() -> None:
    def nested(depth: int) -> str:
        return content(b'{"a":' * depth + b"1" + b"}" * depth)

    assert read_context(nested(MAX_CONTEXT_DEPTH)).error is None
    assert "nests deeper" in (read_context(nested(MAX_CONTEXT_DEPTH + 1)).error or "")
    assert "nests deeper" in (read_context(nested(100_000)).error or "")


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    encoded = json.dumps({"sql": '[{\\"' * 500}).encode()
    assert read_context(content(encoded)).error is None


@pytest.mark.parametrize("value", [None, 1, [], {}, "not base64!", "é", "YQ"])
def test_content_that_is_not_base64_text_is_an_error_and_not_an_exception(value: object) -> None:
    context, error = read_context(value)
    assert context == {}
    assert error


def test_size_is_counted_in_the_contexts_own_bytes() -> None:
    encoded = json.dumps({"a": "x" * 91}).encode()
    assert len(encoded) == 100
    assert read_context(content(encoded), ContextRules(max_bytes=100)).error is None
    assert "100 bytes is larger than the 99" in (
        read_context(content(encoded), ContextRules(max_bytes=99)).error or ""
    )
    assert read_context("A" * 10_000_000, ContextRules(max_bytes=99)).error
