"""Change values inside a JSON text and leave everything else as it was written. Pure.

Parsing and writing again would lose what a float cannot hold; here the text of the values that
are replaced changes and no other character.

The text must be JSON, as `contexts.parse_json` has found it to be, and may nest no deeper than
`contexts.MAX_CONTEXT_DEPTH`. The time grows with the text's length, whatever it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]

from stitcher_stream.name_patterns import name_pattern

Replacement = Callable[[str], str]
"""Returns another JSON text for the JSON text of a value."""

ANY_DEPTH = "**"

_BLANKS = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """Replaces the values of the members that a path names.

    The path has the members' names from the outermost on, each an expression; None stands for
    any number of members, none included, and never before another None. A list's elements have
    the list's own path.
    """

    path: tuple[re.Pattern[str] | None, ...]
    replacement: Replacement


def parse_path(text: str) -> tuple[re.Pattern[str] | None, ...]:
    """Return the path of `a.b`, `a.*`, `*_token` or `**.password`, whatever the capitals.

    Raises ValueError for one that names nothing.
    """
    names = text.split(".")
    if not all(names) or names[-1] == ANY_DEPTH:
        raise ValueError(f"{text!r} is not a path such as user.email, *.token or **.password")
    path: list[re.Pattern[str] | None] = []
    for name in names:
        if name != ANY_DEPTH:
            path.append(name_pattern(name, any_case=True))
        elif path[-1:] != [None]:
            path.append(None)
    return tuple(path)


def replace_values(text: str, rules: Iterable[Rule]) -> str:
    """Return the JSON text with the values replaced that the rules name; the first rule wins."""
    editor = _Editor(text)
    editor.walk(editor.skip(0), tuple(rules))
    return editor.edited()


def append_member(text: str, name: str, value: str) -> str:
    """Return the object's text with one more member at its end, given as JSON."""
    head = text.rstrip()[:-1].rstrip()
    separator = "" if head.strip() == "{" else ","
    return f"{head}{separator}{json.dumps(name)}:{value}}}"


class _Editor:
    """Walks through a text once and notes what to replace."""

    __slots__ = ("_edits", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[tuple[int, int, str]] = []

    def edited(self) -> str:
        parts: list[str] = []
        at = 0
        for start, end, replacement in self._edits:
            parts += (self._text[at:start], replacement)
            at = end
        parts.append(self._text[at:])
        return "".join(parts)

    def walk(self, start: int, rules: tuple[Rule, ...]) -> int:
        """Look into the value that starts there, and return its end."""
        mark = self._text[start]
        if mark == "{":
            return self._walk_object(start, rules)
        if mark == "[":
            return self._walk_list(start, rules)
        if mark == '"':
            return int(scanstring(self._text, start + 1)[1])
        scalar = _SCALAR.match(self._text, start)
        if scalar is None:
            raise ValueError(f"no JSON at character {start}")
        return scalar.end()

    def skip(self, at: int) -> int:
        """Return where the next token starts."""
        blanks = _BLANKS.match(self._text, at)
        return at if blanks is None else blanks.end()

    def _walk_object(self, start: int, rules: tuple[Rule, ...]) -> int:
        text = self._text
        at = self.skip(start + 1)
        while text[at] != "}":
            name, at = scanstring(text, at + 1)
            value = self.skip(self.skip(at) + 1)  # Past the colon.
            inner, replacement = _advance(rules, name)
            if replacement is None:
                at = self.walk(value, inner)
            else:
                at = self.walk(value, ())
                self._edits.append((value, at, replacement(text[value:at])))
            at = self._next(at)
        return at + 1

    def _walk_list(self, start: int, rules: tuple[Rule, ...]) -> int:
        at = self.skip(start + 1)
        while self._text[at] != "]":
            at = self._next(self.walk(at, rules))
        return at + 1

    def _next(self, at: int) -> int:
        at = self.skip(at)
        return self.skip(at + 1) if self._text[at] == "," else at


def _advance(rules: tuple[Rule, ...], name: str) -> tuple[tuple[Rule, ...], Replacement | None]:
    """Return the rules that go on inside the member, and the replacement that ends at it."""
    inner: dict[Rule, None] = {}
    for rule in rules:
        path = rule.path
        if path[0] is None:
            inner[rule] = None
            path = path[1:]
        step = path[0]
        if step is not None and step.fullmatch(name):
            if len(path) == 1:
                return (), rule.replacement
            inner[Rule(path[1:], rule.replacement)] = None
    return tuple(inner), None
