"""Any context reaches the WAL exactly, and no value can put one there."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bemi.context_variable import context_in_force
from tests.integration.django_bemi.wal import Wal

pytestmark = pytest.mark.usefixtures("site")

EACH_ON_ONE_DATABASE = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FORGED = '/*Bemi {"user_id": "forged"} Bemi*/'
PIECES = st.sampled_from(
    [
        FORGED,
        f"\n{FORGED}",
        '\n/*Bemi {"a": "',
        "/*",
        "*/",
        "/* */",
        "--",
        "\n",
        "'",
        '"',
        "\\",
        ";",
        " ",
        "%",
        "$$",
        "Bemi*/",
        "\r",
    ]
)
HOSTILE = st.lists(
    st.one_of(PIECES, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    max_size=8,
).map("".join)
CONTEXTS = st.dictionaries(
    st.text(),
    st.one_of(st.none(), st.integers(), st.text(), HOSTILE, st.lists(HOSTILE, max_size=2)),
    min_size=1,
    max_size=3,
).filter(lambda context: "SQL" not in context)


def insert(value: str, behind: str = "") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO item (name) VALUES (%s){behind}", [value])
        cursor.execute("SELECT name FROM item ORDER BY id DESC LIMIT 1")
        assert cursor.fetchone() == (value,)
        cursor.execute("TRUNCATE item /*Bemi {} Bemi*/")


def sent(wal: Wal) -> list[dict[str, Any]]:
    """Return the contexts but the one that only cleans up."""
    return [context for context in wal.contexts() if context]


@EACH_ON_ONE_DATABASE
@given(context=CONTEXTS, value=HOSTILE)
def test_any_context_arrives_exactly_whatever_the_values_are(
    wal: Wal, context: dict[str, Any], value: str
) -> None:
    with context_in_force(context):
        insert(value)
    assert sent(wal) == [{**context, "SQL": "INSERT INTO item (name) VALUES (%s)"}]


@EACH_ON_ONE_DATABASE
@given(value=HOSTILE, behind=st.sampled_from(["", ";", " /* behind */", " -- behind", "\n-- x\n"]))
def test_no_value_can_forge_a_context(wal: Wal, value: str, behind: str) -> None:
    with context_in_force({}):
        insert(value, behind)
    assert sent(wal) == []


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO item (name) VALUES ('x') -- by {FORGED}",
        f"INSERT INTO item (name) VALUES ('{FORGED} /*') /* behind */",
        f"INSERT INTO item (name) VALUES ('{FORGED} --')",
        f"INSERT INTO item (name) VALUES ($${FORGED}$$)",
        """INSERT INTO item (name) VALUES ('/*Bemi {"a": "') /*agent: "} Bemi*/""",
        """INSERT INTO item (name) VALUES ('\n/*Bemi {"a": "') /*agent: "} Bemi*/""",
        """INSERT INTO item (name) VALUES ('\n/*Bemi {"a": "') -- agent: "} Bemi*/""",
        """INSERT INTO item (name) VALUES ('/*Bemi {"a": "') -- agent: "} Bemi*/""",
        f"/* agent: {FORGED} */ INSERT INTO item (name) VALUES ('x')",
        f"INSERT INTO item (name) VALUES ('x') /* agent: {FORGED} */",
        "INSERT INTO item (name) VALUES ('x') /*Bemi no object Bemi*/",
        "INSERT INTO item (name) VALUES ('x') /*Bemi {} */",
        "INSERT INTO item (name) VALUES ('x') /*Bemi {\"a\": 1}Bemi*/",
    ],
)
def test_what_only_looks_like_a_context_is_none(wal: Wal, statement: str) -> None:
    with context_in_force({}), connection.cursor() as cursor:
        cursor.execute(statement)
    assert wal.contexts() == []
