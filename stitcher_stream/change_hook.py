"""Let the operator's own function decide about each change. Edge: imports it.

The function is given a change and returns what to override: a mapping with any of `before`,
`after`, `context` and `operation`, or the whole change with those changed; {} leaves it as it
is and None drops it. It has to be quick, since everything waits for it, and must decide by the
change alone: a replay asks again and has to get the same answer.

A change it fails on becomes a dead letter, with the error's class and line as the reason.
Going on with the change as it was could store what the function exists to remove, and stopping
would let one odd row hold up the trail of all the others; the record stays in `.wal` and can
be stitched again once the function is mended. The error's text is told to nobody, because it
may quote the row.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping
from typing import Any, cast

from runtime.settings import InvalidSettings
from schemas.change import Change, Operation
from stitcher_stream.contexts import Context, parse_json
from stitcher_stream.errors import HookFailed

OVERRIDABLE = ("before", "after", "context", "operation")

ChangeHook = Callable[[dict[str, Any]], "Mapping[str, Any] | None"]

_OPERATIONS = frozenset(operation.value for operation in Operation)


def load_hook(dotted_path: str) -> ChangeHook:
    """Return the callable that a path such as `mysite.audit.reshape` names.

    Raises InvalidSettings where there is none.
    """
    module_name, _, name = dotted_path.replace(":", ".").rpartition(".")
    try:
        hook = getattr(importlib.import_module(module_name), name)
    # Whatever the module does while it is imported, the setting cannot be used.
    except Exception as error:
        raise InvalidSettings(
            f"BEMI_STITCHER_CHANGE_HOOK={dotted_path} cannot be imported: {error!r}; it has to be "
            "module.function, and the module has to be on PYTHONPATH"
        ) from error
    if not callable(hook):
        raise InvalidSettings(f"BEMI_STITCHER_CHANGE_HOOK={dotted_path} is not a callable")
    return cast("ChangeHook", hook)


def apply_hook(hook: ChangeHook, change: Change) -> Change | None:
    """Return the change as the hook has it, None where it drops it. Raises HookFailed."""
    sent = change["context"]
    # A copy: the transaction's other changes have the same context.
    context = parse_json(sent.encoded) if isinstance(sent, Context) else dict(sent)
    given: dict[str, Any] = {**change, "context": context}
    try:
        answer = hook(given)
    except Exception as error:
        raise HookFailed(f"the change hook failed: {_where(error)}") from error
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise HookFailed(
            f"the change hook returned {type(answer).__name__}, which is no mapping and not None"
        )
    overridden = {**change, **_checked(answer, change)}
    if overridden["context"] == sent:
        # As it was sent, with every digit of its numbers.
        overridden["context"] = sent
    return cast("Change", overridden)


def _checked(answer: Mapping[str, Any], change: Change) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for name, value in answer.items():
        if name in OVERRIDABLE:
            overrides[name] = value
        elif name not in change or value != cast("dict[str, Any]", change)[name]:
            raise HookFailed(
                "the change hook may override " + ", ".join(OVERRIDABLE) + " and nothing else"
            )
    for name in ("before", "after", "context"):
        if name in overrides and not isinstance(overrides[name], dict):
            raise HookFailed(f"the change hook returned a {name} that is not a dict")
    operation = overrides.get("operation", change["operation"])
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise HookFailed(f"the change hook's operation is not one of {', '.join(Operation)}")
    overrides["operation"] = str(Operation(operation).value)
    return overrides


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return f"{type(error).__name__} in {last.name}, line {last.lineno} of {last.filename}"
