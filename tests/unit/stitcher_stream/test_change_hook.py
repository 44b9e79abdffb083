"""The operator's own function, what it may return and what it may not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import InvalidSettings
from schemas.change import Change
from stitcher_stream.change_hook import apply_hook, load_hook
from stitcher_stream.change_records import encode_change
from stitcher_stream.change_rules import LeftOut, reshaping
from stitcher_stream.errors import HookFailed, MalformedChange
from stitcher_stream.settings import StitcherSettings
from tests.unit.stitcher_stream.changes import a_change

Hook = Callable[[dict[str, Any]], Any]


def test_what_the_hook_returns_takes_the_place_of_what_was_there() -> None:
    change = apply_hook(lambda _: {"after": {"id": 1}, "context": {"by": "hook"}}, a_change())
    assert change == a_change(after={"id": 1}, context={"by": "hook"})
    assert list(change or ()) == list(Change.__annotations__)


@pytest.mark.parametrize("hook", [lambda _: {}, lambda change: change, dict])
def test_hook_that_overrides_nothing_leaves_the_change_to_the_byte(hook: Hook) -> None:
    change = apply_hook(hook, a_change())
    assert change is not None
    assert encode_change(change) == encode_change(a_change())


def test_hook_may_return_the_whole_change_with_something_changed() -> None:
    change = apply_hook(lambda given: {**given, "operation": "DELETE"}, a_change())
    assert change == a_change(operation="DELETE")


def test_hook_that_writes_into_the_context_does_not_change_it_for_other_changes() -> None:
    def hook(change: dict[str, Any]) -> dict[str, Any]:
        change["context"]["by"] = "hook"
        return change

    first = a_change()
    second = a_change(context=first["context"])
    assert (apply_hook(hook, first) or second)["context"] == {"n": 1.1, "by": "hook"}
    assert second["context"] == {"n": 1.1}


def test_none_drops_the_change() -> None:
    assert apply_hook(lambda _: None, a_change()) is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (True, "returned bool"),
        ([], "returned list"),
        ({"before": None}, "a before that is not a dict"),
        ({"context": "x"}, "a context that is not a dict"),
        ({"operation": "UPSERT"}, "operation is not one of CREATE, UPDATE"),
        ({"operation": []}, "operation is not one of"),
        ({"primary_key": "2"}, "may override before, after, context, operation and nothing else"),
        ({"color": "red"}, "nothing else"),
    ],
)
def test_answer_that_is_not_allowed_is_a_dead_letter(answer: object, reason: str) -> None:
    with pytest.raises(HookFailed, match=reason):
        apply_hook(lambda _: answer, a_change())  # type: ignore[arg-type, return-value]


def test_error_in_the_hook_is_a_dead_letter_that_tells_where_and_no_value() -> None:
    def hook(change: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(change["after"]["title"] + " is secret")

    with pytest.raises(HookFailed, match=r"KeyError in hook, line \d+ of .*test_change_hook") as e:
        apply_hook(hook, a_change())
    assert "secret" not in str(e.value)


def test_answer_that_json_cannot_hold_is_a_dead_letter() -> None:
    change = apply_hook(lambda _: {"after": {"a": object()}}, a_change())
    assert change is not None
    with pytest.raises(MalformedChange):
        encode_change(change)


@pytest.fixture
def hook_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "a_hook_of_an_operator"
    (tmp_path / f"{name}.py").write_text(
        "value = 1\ndef drop_tasks(change):\n    return None if change['table'] == 'task' else {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@pytest.mark.parametrize("separator", [".", ":"])
def test_hook_is_named_by_its_path(hook_module: str, separator: str) -> None:
    hook = load_hook(f"{hook_module}{separator}drop_tasks")
    assert apply_hook(hook, a_change()) is None


@pytest.mark.parametrize("path", ["nowhere.at_all", "json.no_such_name", "json", "", "x."])
def test_hook_that_is_not_there_needs_a_person(path: str) -> None:
    with pytest.raises(InvalidSettings, match="PYTHONPATH"):
        load_hook(path)


def test_hook_that_cannot_be_called_needs_a_person(hook_module: str) -> None:
    with pytest.raises(InvalidSettings, match="not a callable"):
        load_hook(f"{hook_module}.value")


def test_what_is_left_out_is_counted_by_cause(hook_module: str) -> None:
    left_out = LeftOut()
    reshape = reshaping(
        StitcherSettings.from_environ(
            {
                "BEMI_STITCHER_CHANGE_HOOK": f"{hook_module}.drop_tasks",
                "BEMI_STITCHER_IGNORE_TABLES": "public.log",
            }
        ),
        left_out,
    )
    assert reshape is not None
    kept = [reshape(a_change(table=table)) for table in ("task", "log", "task", "user")]
    assert [change and change["table"] for change in kept] == [None, None, None, "user"]
    assert left_out.take() == (1, 2)
    assert left_out.take() == (0, 0)


def test_without_rules_there_is_nothing_to_do_for_a_change() -> None:
    assert reshaping(StitcherSettings.from_environ({}), LeftOut()) is None
