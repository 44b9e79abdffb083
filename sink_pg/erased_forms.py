"""The SQL of what stands for a change's parts once they are erased. Edge: psycopg.sql.

Everywhere a change is named `stored`: in `changes`, in what a sink is about to store, in a seal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from psycopg import sql

from schemas.erasure import ERASED, Part
from sink_pg.statements import statement

_OBJECTS = {"before": Part.VALUES, "after": Part.VALUES, "context": Part.CONTEXT}


def erased_forms(parts: Collection[Part]) -> dict[str, sql.Composable]:
    """Return the expression of each column that an erasure may write, by the column's name.

    Takes the parameter `members`, those that are erased or None for all. The forms of what is
    erased already are what is there, so erasing twice changes nothing.
    """
    forms: dict[str, sql.Composable] = {"primary_key": sql.SQL("stored.primary_key")}
    marker = sql.Literal(ERASED)
    if Part.PRIMARY_KEY in parts:
        forms["primary_key"] = sql.SQL(
            "CASE WHEN stored.primary_key IS NOT NULL THEN {} END"
        ).format(marker)
    for column, part in _OBJECTS.items():
        name = sql.Identifier(column)
        forms[column] = sql.SQL("stored.{}").format(name)
        if part in parts:
            forms[column] = statement("erased_members").format(column=name, marker=marker)
    return forms


def is_not_erased_yet(forms: Mapping[str, sql.Composable]) -> sql.Composed:
    """Return the condition that there is something to erase; the forms' parameter goes with it."""
    return statement("is_not_erased_yet").format(**forms)
