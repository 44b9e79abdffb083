"""Decide where to begin to read, and whether that is right. Pure.

    stored offset + server + slot + publication -> plan, or the error that names what is wrong

The server does not complain when it is asked for changes it has forgotten: it begins at the
slot's confirmed position, silently. So whatever may have been skipped has to be found here,
before the stream starts. The argument: a position is stored before it is confirmed to the
slot, so as long as nobody else has touched anything

    slot's confirmed position  <=  stored position  <=  end of the server's log

in one history of one server. Every way to break that is one case below. What breaks it is
a Gap error; with `accept_gap` the plan goes on instead and says what has to be recorded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

from producer.errors import (
    ACCEPT_GAP,
    Gap,
    HistoryDiverged,
    OtherServer,
    PublicationChanged,
    PublicationMissing,
    ServerWentBack,
    SlotInUse,
    SlotLost,
    SlotMissing,
    SlotMovedOn,
    SlotOfOther,
)
from producer.gaps import GapReason, GapRecord
from producer.source_state import (
    OPERATIONS,
    PublicationState,
    ServerState,
    SlotState,
    StoredOffset,
)
from schemas.change_id import Lsn, format_lsn

SKIPS_MISSING_PUBLICATIONS = 180_000
"""From PostgreSQL 18 on changes made while there is no publication are passed over; before,
decoding fails at them for ever."""


class OffsetMismatchStrategy(Enum):
    """Debezium's offset.mismatch.strategy: what to do when slot and stored offset differ.

    A slot behind the offset is usual and needs nothing. For a slot ahead of it, Debezium's
    default looks away; here that is the same as to trust the offset, which refuses.
    """

    NO_VALIDATION = "no_validation"
    TRUST_OFFSET = "trust_offset"
    TRUST_SLOT = "trust_slot"
    TRUST_GREATER_LSN = "trust_greater_lsn"

    @property
    def follows_slot(self) -> bool:
        """Whether a slot that is ahead decides; what lies between is recorded as a gap."""
        return self in (self.TRUST_SLOT, self.TRUST_GREATER_LSN)


@dataclass(frozen=True, slots=True)
class GapPolicy:
    """What a person has allowed, and where to begin."""

    accept_gap: bool = False
    offset_mismatch_strategy: OffsetMismatchStrategy = OffsetMismatchStrategy.NO_VALIDATION
    begins_at_slot: bool = False
    """Whether to send again what the slot has not confirmed, though it was acknowledged: the
    slot alone says what is stored where Kafka's disk is not trusted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cannot be gone on from without a person's word."""

    error: type[Gap]
    reason: GapReason
    message: str
    from_lsn: Lsn | None = None

    def raise_it(self) -> None:
        """Raise the finding as the error that it is."""
        raise self.error(f"{self.message}; {ACCEPT_GAP}")


@dataclass(frozen=True, slots=True)
class StartPlan:
    """What to do before the stream starts, in this order."""

    drop_slot: bool = False  # It can never be read again.
    make_slot: bool = False
    advance_slot: bool = False  # To the present: what lies before cannot be decoded.
    at: Lsn | None = None  # Where to begin; None: where the slot is made or advanced to.
    gaps: tuple[GapRecord, ...] = ()  # To be recorded, `to_lsn` filled in.
    remark: str = ""  # For the log.


def check_start(
    server: ServerState,
    slot: SlotState | None,
    slot_name: str,
    stored: StoredOffset | None,
    *,
    captured_before: bool,
    publication: Finding | None,
    policy: GapPolicy,
) -> StartPlan:
    """Return how to start, or raise the Stop error that says why not.

    `captured_before` is what the topics say where no offset is stored.

    Another producer may be at work while this one looks. So the slot must have been read
    before the offset, and the offset before the end of the log: in any other order the
    other's progress in between would look like a gap.
    """
    if slot is not None and (slot.plugin, slot.database) != ("pgoutput", server.database):
        raise SlotOfOther(
            f"replication slot {slot.name} is one of {slot.plugin or 'a physical standby'} in "
            f"database {slot.database}; name another by slot.name (BEMI_PRODUCER_SLOT_NAME)"
        )
    if slot is not None and slot.confirmed_lsn is None:
        raise SlotInUse(f"replication slot {slot.name} is still being made by another session")
    found = _check_history(server, stored) or _check_slot(slot, slot_name, stored, captured_before)
    findings = [each for each in (found, publication) if each is not None]
    for finding in findings:
        if not (policy.accept_gap or _is_settled(finding, policy)):
            finding.raise_it()
    plan = _plan(server, slot, stored, found, begins_at_slot=policy.begins_at_slot)
    if publication is not None and not plan.make_slot and _is_undecodable(publication, server):
        plan = StartPlan(advance_slot=True, remark="skipping what has no publication")
    gaps = (
        _record(each, server, slot_name, stored, server.wal_end if each is publication else plan.at)
        for each in findings
    )
    return replace(plan, gaps=tuple(gaps))


def check_publication(
    before: PublicationState | None,
    now: PublicationState | None,
    existing: Collection[int],
    wanted_operations: Collection[str],
    slot: SlotState | None = None,
) -> Finding | None:
    """Return what the publication does not cover although it did, or should.

    `before` is what was stored, or seen when the stream began; `existing` are the oids of
    those of its members that still exist: a table that was dropped is not missing. `slot` is
    one that is there already: what it has yet to read needs a publication of that time.
    """
    if now is None and before is None:
        if slot is None or slot.invalidation is not None:
            return None  # Publication and slot are yet to be made, in this order.
        return Finding(
            PublicationMissing,
            GapReason.PUBLICATION_MISSING,
            f"replication slot {slot.name} is there but its publication is not, and one made now "
            "publishes no change from before: name the publication that the slot was read with by "
            "publication.name (BEMI_PRODUCER_PUBLICATION_NAME)",
            slot.confirmed_lsn,
        )
    if now is None:
        assert before is not None  # noqa: S101 - that neither is there was looked at above.
        return Finding(
            PublicationMissing,
            GapReason.PUBLICATION_MISSING,
            f"publication {before.name} was dropped, so changes since then are not published: "
            "create it again as it was",
        )
    if missing := [
        each for each in OPERATIONS if each in wanted_operations and each not in now.operations
    ]:
        return Finding(
            PublicationChanged,
            GapReason.PUBLICATION_CHANGED,
            f"publication {now.name} does not publish {', '.join(missing)}: run `ALTER PUBLICATION "
            f"\"{now.name}\" SET (publish = '{', '.join(_in_order(now, missing))}')`, "
            "or name what is not wanted in skipped.operations",
        )
    if before is None:
        return None
    if before.oid != now.oid:
        return Finding(
            PublicationMissing,
            GapReason.PUBLICATION_MISSING,
            f"publication {now.name} was dropped and made again, so changes in between are not "
            "published",
        )
    return _check_coverage(before, now, existing)


def _check_coverage(
    before: PublicationState, now: PublicationState, existing: Collection[int]
) -> Finding | None:
    if before.all_tables and not now.all_tables:
        return _narrowed(now, "it does not cover all tables any more")
    listings = {member[0] for member in now.members}
    gone = [
        name
        for listing, oid, name in before.members
        if listing not in listings and oid in existing and not now.all_tables
    ]
    if gone:
        return _narrowed(now, f"it does not cover {', '.join(gone[:5])} as it did")
    is_as_before = (before.operations, before.all_tables, before.via_partition_root) == (
        now.operations, now.all_tables, now.via_partition_root,
    )  # fmt: skip
    if before.version != now.version and is_as_before:
        # Which it publishes now says nothing about a change that was taken back.
        return _narrowed(now, "it was altered, and what it left out meanwhile is not known")
    return None


def _narrowed(now: PublicationState, what: str) -> Finding:
    return Finding(
        PublicationChanged,
        GapReason.PUBLICATION_CHANGED,
        f"publication {now.name} was changed: {what}, so changes may be missing",
    )


def _in_order(now: PublicationState, missing: list[str]) -> list[str]:
    return [each for each in OPERATIONS if each in now.operations or each in missing]


def _check_history(server: ServerState, stored: StoredOffset | None) -> Finding | None:
    """Compare whose position is stored with the server that is there."""
    if stored is None:
        return None
    at = stored.lsn
    if not stored.is_of(server):
        return Finding(
            OtherServer,
            GapReason.OTHER_SERVER,
            f"changes were captured from database {stored.database} of the server with system "
            f"identifier {stored.system_identifier}, but this is database {server.database} of "
            f"{server.system_identifier}: for another source use another topic prefix or slot name",
            at,
        )
    went_back = (
        f"changes were captured up to {format_lsn(at)} of timeline {stored.timeline}, but the "
        f"server is at {format_lsn(server.wal_end)} of timeline {server.timeline}: it was restored "
        "from a backup, or is a former primary"
    )
    if stored.timeline > server.timeline:
        return Finding(ServerWentBack, GapReason.SERVER_WENT_BACK, went_back, at)
    if stored.timeline < server.timeline:
        end = server.timeline_ends.get(stored.timeline)
        if end is None:
            return Finding(ServerWentBack, GapReason.SERVER_WENT_BACK, went_back, at)
        if end < at:
            return Finding(
                HistoryDiverged,
                GapReason.HISTORY_DIVERGED,
                f"changes were captured up to {format_lsn(at)}, but the server that was promoted "
                f"had received only those up to {format_lsn(end)}: what lies between is in Kafka "
                "and not in the database",
                at,
            )
    if at > server.wal_end:
        return Finding(ServerWentBack, GapReason.SERVER_WENT_BACK, went_back, at)
    return None


def _check_slot(
    slot: SlotState | None, slot_name: str, stored: StoredOffset | None, captured_before: bool
) -> Finding | None:
    """Look whether the slot still has everything after the stored position."""
    at = None if stored is None else stored.lsn
    if slot is None:
        if stored is None and not captured_before:
            return None
        since = "before" if at is None else f"up to {format_lsn(at)}"
        return Finding(
            SlotMissing,
            GapReason.SLOT_MISSING,
            f"replication slot {slot_name} is gone, but changes were captured {since}: those since "
            "are missing",
            at,
        )
    if slot.invalidation is not None:
        at = slot.confirmed_lsn if at is None else at
        since = "its last position" if at is None else format_lsn(at)
        return Finding(
            SlotLost,
            GapReason.SLOT_LOST,
            f"replication slot {slot.name} was invalidated by the server ({slot.invalidation}): "
            f"changes after {since} are missing; see max_slot_wal_keep_size and "
            "idle_replication_slot_timeout",
            at,
        )
    if at is not None and slot.confirmed_lsn is not None and slot.confirmed_lsn > at:
        return Finding(
            SlotMovedOn,
            GapReason.SLOT_MOVED_ON,
            f"replication slot {slot.name} has confirmed everything up to "
            f"{format_lsn(slot.confirmed_lsn)}, but changes are stored only up to "
            f"{format_lsn(at)}: somebody else has read it, advanced it or made it again",
            at,
        )
    return None


def _is_settled(finding: Finding, policy: GapPolicy) -> bool:
    return (
        finding.reason is GapReason.SLOT_MOVED_ON and policy.offset_mismatch_strategy.follows_slot
    )


def _plan(
    server: ServerState,
    slot: SlotState | None,
    stored: StoredOffset | None,
    found: Finding | None,
    *,
    begins_at_slot: bool,
) -> StartPlan:
    """Return where to begin, once it is decided that the producer goes on."""
    if slot is None or slot.confirmed_lsn is None:
        return StartPlan(make_slot=True, remark="making the replication slot")
    if slot.invalidation is not None:
        return StartPlan(drop_slot=True, make_slot=True, remark="replacing the invalidated slot")
    at = slot.confirmed_lsn
    if stored is None:
        return StartPlan(at=at, remark="no offset is stored: taking the slot over where it stands")
    if found is None and begins_at_slot:
        return StartPlan(at=at, remark="going on from what is stored in `changes`")
    if found is None:
        return StartPlan(at=stored.lsn, remark="going on after the stored offset")
    if found.reason is GapReason.HISTORY_DIVERGED:
        # Everything before the fork was captured; everything after it is new.
        at = max(at, server.timeline_ends[stored.timeline])
    return StartPlan(at=at, remark="going on from the slot's position")


def _is_undecodable(publication: Finding, server: ServerState) -> bool:
    """Whether the slot would fail for ever at changes made while there was no publication."""
    return (
        publication.reason is GapReason.PUBLICATION_MISSING
        and server.version < SKIPS_MISSING_PUBLICATIONS
    )


def _record(
    finding: Finding,
    server: ServerState,
    slot_name: str,
    stored: StoredOffset | None,
    to_lsn: Lsn | None,
) -> GapRecord:
    from_lsn = finding.from_lsn
    if from_lsn is None and stored is not None:
        from_lsn = stored.lsn
    return GapRecord(
        reason=finding.reason,
        from_lsn=from_lsn,
        to_lsn=to_lsn,
        from_system=None if stored is None else (stored.system_identifier, stored.timeline),
        to_system=(server.system_identifier, server.timeline),
        database=server.database,
        slot_name=slot_name,
    )
