"""The wrapper adds the context and changes nothing else about a statement."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError
from psycopg import sql as composed

from bemi import middleware
from bemi.context_variable import context_in_force
from bemi.middleware import BemiDBWrapper

CONTEXT = {"user_id": 1}
COMMENT = '/*Bemi {"user_id":1,"SQL":"DELETE FROM t"} Bemi*/'


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    with context_in_force(CONTEXT):
        yield


def executed(sql: Any, params: Any = None, vendor: str = "postgresql") -> Any:
    """Return the statement as the wrapper gives it on; it is given on exactly once."""
    calls: list[Any] = []

    def execute(sql: Any, params: Any, many: bool, context: Any) -> str:
        calls.append((sql, params))
        return "result"

    execution = {
        "connection": SimpleNamespace(vendor=vendor),
        "cursor": SimpleNamespace(cursor=None),
    }
    assert BemiDBWrapper()(execute, sql, params, False, execution) == "result"
    ((given, given_params),) = calls
    assert given_params is params
    return given


def test_a_statement_that_writes_carries_the_context() -> None:
    assert executed("DELETE FROM t") == f"DELETE FROM t {COMMENT}"


def test_bytes_stay_bytes() -> None:
    assert executed(b"DELETE FROM t") == f"DELETE FROM t {COMMENT}".encode()
    assert executed(b"DELETE FROM \xff")[:13] == b"DELETE FROM \xff"


def test_a_composed_statement_carries_the_context() -> None:
    statement = composed.SQL("DELETE FROM {}").format(composed.Identifier("t"))
    assert executed(statement).startswith('DELETE FROM "t" /*Bemi {')


@pytest.mark.parametrize("sql", ["SELECT 1", f"DELETE FROM t {COMMENT}", object(), None])
def test_other_statements_are_given_on_as_they_are(sql: Any) -> None:
    assert executed(sql) is sql


@pytest.mark.parametrize("context", [{}, None, "text", 1])
def test_without_a_context_nothing_is_added(context: Any) -> None:
    with context_in_force(context):
        assert executed("DELETE FROM t") == "DELETE FROM t"


def test_other_databases_are_left_alone() -> None:
    assert executed("DELETE FROM t", vendor="sqlite") == "DELETE FROM t"


def test_a_context_that_cannot_be_encoded_is_logged_and_the_change_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    with context_in_force({"a": Hostile()}):
        sent = executed("DELETE FROM t")
    assert sent == (
        'DELETE FROM t /*Bemi {"bemi_error":"the context cannot be encoded: RuntimeError",'
        '"SQL":"DELETE FROM t"} Bemi*/'
    )
    assert logging.ERROR in [record.levelno for record in caplog.records]


def test_a_context_whose_names_are_over_the_limit_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(middleware, "MAX_CONTEXT_SIZE", 200)
    with context_in_force({"name" * 100: 1}):
        sent = executed("DELETE FROM t")
    assert '{"bemi_error":"the context is longer than 200 characters"' in sent
    assert "longer than 200 characters" in caplog.text


def test_a_context_over_the_limit_is_logged_and_not_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(middleware, "MAX_CONTEXT_SIZE", 10)
    assert executed("DELETE FROM t") == "DELETE FROM t"
    assert "longer than 10 characters" in caplog.text


def test_the_setting_cuts_the_statement(settings: Any) -> None:
    settings.BEMI_SQL_MAX_LENGTH = 6
    assert '"SQL":"DELETE... (13 characters)"' in executed("DELETE FROM t")


def test_the_setting_leaves_out_what_is_written_into_the_statement(settings: Any) -> None:
    settings.BEMI_REDACT_SQL_LITERALS = True
    assert '"SQL":"DELETE FROM t WHERE a = ?"' in executed("DELETE FROM t WHERE a = 'secret'")


def test_an_error_of_the_database_passes_and_nothing_is_executed_twice() -> None:
    calls: list[str] = []

    def execute(sql: str, params: Any, many: bool, context: Any) -> None:
        calls.append(sql)
        raise IntegrityError("duplicate key")

    execution = {"connection": SimpleNamespace(vendor="postgresql")}
    with pytest.raises(IntegrityError, match="duplicate key"):
        BemiDBWrapper()(execute, "INSERT INTO t VALUES (1)", None, False, execution)
    assert len(calls) == 1
