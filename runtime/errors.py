"""The three kinds of error, by what has to be done about them.

    StageError
    ├── Retry        it heals by itself: try again, with backoff, for ever
    ├── Stop         a person must act; the message says how
    └── DeadLetter   one record is wrong: put it aside and go on

Each stage derives its own errors from these in its `errors.py`.
"""

from __future__ import annotations


class StageError(Exception):
    """Something went wrong in a stage."""

    def __init__(self, message: str | None = None) -> None:
        # The docstring is the default message, so an error always says something useful.
        super().__init__(message or " ".join((self.__doc__ or "").split()))


class Retry(StageError):
    """Something outside is not there for the moment; the stage tries again."""


class Stop(StageError):
    """The stage cannot go on until a person has acted."""


class DeadLetter(StageError):
    """One record cannot be understood; it is put aside and the rest goes on."""
