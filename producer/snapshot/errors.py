"""The snapshots' errors, by what has to be done about them.

Retry  TableChanged, ReaderDied
"""

from __future__ import annotations

from runtime.errors import Retry


class TableChanged(Retry):
    """A table was truncated or rewritten while it was read; it is read again."""


class ReaderDied(Retry):
    """A process that reads tables ended by itself; what it had not finished is read again."""
