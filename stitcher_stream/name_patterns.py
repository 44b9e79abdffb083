"""Names with `*` in them. Pure."""

from __future__ import annotations

import fnmatch
import re


def name_pattern(text: str, *, any_case: bool = False) -> re.Pattern[str]:
    """Return the expression of a name in which `*` stands for any characters.

    For fullmatch. However many stars there are, the time grows with the name's length times
    theirs: names come from applications.
    """
    # Only the star is special here, as in PostgreSQL's and in JSON's names nothing is.
    literal = text.replace("[", "[[]").replace("?", "[?]")
    return re.compile(fnmatch.translate(literal), re.IGNORECASE if any_case else 0)
