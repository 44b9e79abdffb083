"""Replace what must not be kept in contexts. Pure.

The text `[redacted]` stands for a value whose path a rule names, whatever the value was. In the
member `SQL` the literals can be replaced and the statement kept.
"""

from __future__ import annotations

import json

from stitcher_stream.json_text import Rule, parse_path
from stitcher_stream.sql_literals import redact_literals

REDACTED = "[redacted]"
SQL_PATH = "SQL"

_REDACTED_JSON = json.dumps(REDACTED)


def parse_redactions(paths: str) -> tuple[Rule, ...]:
    """Return the rules of a list of paths with commas between them.

    Raises ValueError, which names the path, for one that names nothing.
    """
    entries = (entry.strip() for entry in paths.split(","))
    return tuple(Rule(parse_path(entry), _redacted) for entry in entries if entry)


def sql_rule() -> Rule:
    """Return the rule that takes the literals out of the context's statement."""
    return Rule(parse_path(SQL_PATH), _without_literals)


def _redacted(_value: str) -> str:
    return _REDACTED_JSON


def _without_literals(value: str) -> str:
    statement = json.loads(value)
    if not isinstance(statement, str):
        return _REDACTED_JSON
    # Escaped only where it has to be, so that a statement stays readable.
    redacted = redact_literals(statement)
    is_utf8 = not any("\ud800" <= character <= "\udfff" for character in redacted)
    return json.dumps(redacted, ensure_ascii=not is_utf8)
