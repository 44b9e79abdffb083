"""What the settings ask to be done with records and changes, made ready. Edge: loads the hook.

    stitch -> ignore_rules -> change_hook -> change_records

Whoever stitches, the worker or a restitching, goes by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from schemas.change import Change
from stitcher_stream.change_hook import ChangeHook, apply_hook, load_hook
from stitcher_stream.contexts import ContextRules
from stitcher_stream.debezium_stream import Place, stitch_debezium
from stitcher_stream.ignore_rules import COLUMN_PARTS, TABLE_PARTS, IgnoreRules, parse_patterns
from stitcher_stream.redaction import parse_redactions, sql_rule
from stitcher_stream.settings import StitcherSettings
from stitcher_stream.signatures import parse_keys
from stitcher_stream.stitch import State, WalRecord, stitch

Reshape = Callable[[Change], "Change | None"]
"""Returns the change as it is to be stored, or None where it is not to be."""


Fold = Callable[[State, WalRecord, ContextRules], "tuple[State, Change | None]"]
"""Returns the state after a record and the change it tells, as `stitch` does."""


def fold_of(settings: StitcherSettings, partition: int, partitions: int) -> Fold:
    """Return what understands the records of whoever writes `.wal`, in one of its partitions."""
    if settings.wal_from == "debezium":
        return partial(stitch_debezium, place=Place(partition, partitions))
    return stitch


def context_rules(settings: StitcherSettings) -> ContextRules:
    """Return what is done to contexts."""
    sql_rules = (sql_rule(),) if settings.redact_sql_literals else ()
    return ContextRules(
        settings.max_context_bytes,
        parse_keys(settings.context_keys.get_secret_value()),
        (*parse_redactions(settings.redact_context), *sql_rules),
    )


@dataclass(slots=True)
class LeftOut:
    """How many changes were stitched and are not in `.changes`, since it was last asked."""

    ignored: int = 0
    dropped: int = 0

    def take(self) -> tuple[int, int]:
        """Return how many the ignore rules and the hook left out, and begin anew."""
        counts = (self.ignored, self.dropped)
        self.ignored = self.dropped = 0
        return counts


def reshaping(settings: StitcherSettings, left_out: LeftOut) -> Reshape | None:
    """Return what is done to each change, None where nothing is.

    What it leaves out is counted. Raises InvalidSettings for a hook that is not there.
    """
    rules = IgnoreRules(
        parse_patterns(settings.ignore_tables, TABLE_PARTS),
        parse_patterns(settings.ignore_columns, COLUMN_PARTS),
        parse_patterns(settings.ignore_updates_of, COLUMN_PARTS),
    )
    hook = load_hook(settings.change_hook) if settings.change_hook else None
    if not rules and hook is None:
        return None
    return _reshape_by(rules, hook, left_out)


def _reshape_by(rules: IgnoreRules, hook: ChangeHook | None, left_out: LeftOut) -> Reshape:
    def reshape(change: Change) -> Change | None:
        kept = rules.reshape(change)
        if kept is None:
            left_out.ignored += 1
            return None
        if hook is None:
            return kept
        answer = apply_hook(hook, kept)
        if answer is None:
            left_out.dropped += 1
        return answer

    return reshape
