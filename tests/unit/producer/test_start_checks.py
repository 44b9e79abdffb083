"""Where to begin, and every way in which that would not be right."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.errors import (
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
from producer.gaps import GapReason
from producer.source_state import (
    OPERATIONS,
    PublicationState,
    ServerState,
    SlotState,
    StoredOffset,
)
from producer.start_checks import (
    Finding,
    GapPolicy,
    OffsetMismatchStrategy,
    StartPlan,
    check_publication,
    check_start,
)
from schemas.change_id import Lsn

SERVER = ServerState(7, 1, "shop", Lsn(1000), 170_000)
PROMOTED = replace(SERVER, timeline=3, timeline_ends={1: Lsn(600), 2: Lsn(800)})
SLOT = SlotState("bemi", "pgoutput", "shop", Lsn(400))
STORED = StoredOffset(7, 1, "shop", "bemi", "bemi", Lsn(500))
LOST = replace(SLOT, invalidation="wal_removed")
ALL = frozenset(OPERATIONS)
PUBLICATION = PublicationState("bemi", 90, 1, True, ALL)
LISTED = replace(
    PUBLICATION, all_tables=False, members=((91, 11, "public.a"), (92, 12, "public.b"))
)

WITHOUT_TRUNCATE = replace(PUBLICATION, operations=ALL - {"truncate"})


def start(
    server: ServerState = SERVER,
    slot: SlotState | None = SLOT,
    stored: StoredOffset | None = STORED,
    *,
    captured_before: bool = True,
    publication: Finding | None = None,
    accept_gap: bool = False,
    strategy: OffsetMismatchStrategy = OffsetMismatchStrategy.NO_VALIDATION,
    begins_at_slot: bool = False,
) -> StartPlan:
    return check_start(
        server,
        slot,
        "bemi",
        stored,
        captured_before=captured_before,
        publication=publication,
        policy=GapPolicy(accept_gap, strategy, begins_at_slot),
    )


def test_it_goes_on_after_the_stored_offset_and_not_where_the_slot_stands() -> None:
    plan = start()
    assert (plan.at, plan.make_slot, plan.gaps) == (500, False, ())


def test_where_the_slot_waits_for_the_sink_it_goes_on_where_the_slot_stands() -> None:
    assert start(begins_at_slot=True).at == 400


def test_the_first_start_makes_the_slot() -> None:
    plan = start(slot=None, stored=None, captured_before=False)
    assert (plan.at, plan.make_slot, plan.gaps) == (None, True, ())


def test_a_slot_without_a_stored_offset_is_taken_over_where_it_stands() -> None:
    plan = start(stored=None)
    assert (plan.at, plan.make_slot, plan.gaps) == (400, False, ())
    assert "taking the slot over" in plan.remark


def test_a_promoted_server_that_has_everything_is_gone_on_from() -> None:
    assert start(PROMOTED).at == 500


GAPS = [
    ("no slot", SERVER, None, STORED, SlotMissing, GapReason.SLOT_MISSING, None),
    ("no slot, no offset", SERVER, None, None, SlotMissing, GapReason.SLOT_MISSING, None),
    ("slot lost", SERVER, LOST, STORED, SlotLost, GapReason.SLOT_LOST, None),
    ("slot lost, no offset", SERVER, LOST, None, SlotLost, GapReason.SLOT_LOST, None),
    (
        "slot ahead",
        SERVER,
        replace(SLOT, confirmed_lsn=Lsn(501)),
        STORED,
        SlotMovedOn,
        GapReason.SLOT_MOVED_ON,
        501,
    ),
    (
        "other server",
        replace(SERVER, system_identifier=8),
        SLOT,
        STORED,
        OtherServer,
        GapReason.OTHER_SERVER,
        400,
    ),
    (
        "other server without a slot",
        replace(SERVER, system_identifier=8),
        None,
        STORED,
        OtherServer,
        GapReason.OTHER_SERVER,
        None,
    ),
    (
        "other database",
        SERVER,
        SLOT,
        replace(STORED, database="store"),
        OtherServer,
        GapReason.OTHER_SERVER,
        400,
    ),
    (
        "restored from a backup",
        replace(SERVER, wal_end=Lsn(499)),
        SLOT,
        STORED,
        ServerWentBack,
        GapReason.SERVER_WENT_BACK,
        400,
    ),
    (
        "former primary",
        SERVER,
        SLOT,
        replace(STORED, timeline=2),
        ServerWentBack,
        GapReason.SERVER_WENT_BACK,
        400,
    ),
    (
        "promoted server that lacked the end",
        PROMOTED,
        SLOT,
        replace(STORED, lsn=Lsn(601)),
        HistoryDiverged,
        GapReason.HISTORY_DIVERGED,
        600,
    ),
    (
        "server of another branch",
        replace(PROMOTED, timeline_ends={2: Lsn(800)}),
        SLOT,
        STORED,
        ServerWentBack,
        GapReason.SERVER_WENT_BACK,
        400,
    ),
    (
        "promoted server without a slot",
        PROMOTED,
        None,
        STORED,
        SlotMissing,
        GapReason.SLOT_MISSING,
        None,
    ),
]
IDS = [name for name, *_ in GAPS]


@pytest.mark.parametrize(
    ("name", "server", "slot", "stored", "error", "reason", "at"), GAPS, ids=IDS
)
def test_a_gap_is_refused_with_advice(
    name: str,
    server: ServerState,
    slot: SlotState | None,
    stored: StoredOffset | None,
    error: type[Gap],
    reason: GapReason,
    at: int | None,
) -> None:
    with pytest.raises(error, match="BEMI_PRODUCER_ACCEPT_GAP=true"):
        start(server, slot, stored)


@pytest.mark.parametrize(
    ("name", "server", "slot", "stored", "error", "reason", "at"), GAPS, ids=IDS
)
def test_an_accepted_gap_is_gone_on_from_and_recorded(
    name: str,
    server: ServerState,
    slot: SlotState | None,
    stored: StoredOffset | None,
    error: type[Gap],
    reason: GapReason,
    at: int | None,
) -> None:
    plan = start(server, slot, stored, accept_gap=True)
    assert plan.at == at
    assert plan.make_slot == (at is None)
    assert plan.drop_slot == (slot is LOST)
    (gap,) = plan.gaps
    assert (gap.reason, gap.to_lsn, gap.slot_name) == (reason, at, "bemi")
    if stored is not None:
        assert gap.from_lsn == stored.lsn
        assert gap.from_system == (stored.system_identifier, stored.timeline)


def test_a_record_of_a_gap_says_from_where_to_where_on_which_server() -> None:
    (gap,) = start(slot=None, accept_gap=True).gaps
    content = gap.ending_at(Lsn(0x1_0000_0700)).to_bytes(datetime(2026, 1, 2, tzinfo=timezone.utc))
    assert json.loads(content) == {
        "reason": "slot_missing",
        "from_lsn": "0/1F4",
        "to_lsn": "1/700",
        "from_system_identifier": "7",
        "from_timeline": 1,
        "to_system_identifier": "7",
        "to_timeline": 1,
        "database": "shop",
        "slot": "bemi",
        "at": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize("strategy", OffsetMismatchStrategy)
def test_a_slot_ahead_is_followed_only_where_debeziums_setting_trusts_it(
    strategy: OffsetMismatchStrategy,
) -> None:
    ahead = replace(SLOT, confirmed_lsn=Lsn(600))
    if strategy.value in ("trust_slot", "trust_greater_lsn"):
        plan = start(slot=ahead, strategy=strategy)
        assert plan.at == 600
        assert [gap.reason for gap in plan.gaps] == [GapReason.SLOT_MOVED_ON]
    else:
        with pytest.raises(SlotMovedOn):
            start(slot=ahead, strategy=strategy)
    assert start(strategy=strategy).at == 500


@pytest.mark.parametrize("strategy", OffsetMismatchStrategy)
def test_no_strategy_helps_over_a_lost_slot(strategy: OffsetMismatchStrategy) -> None:
    with pytest.raises(SlotLost):
        start(slot=LOST, strategy=strategy)


@pytest.mark.parametrize(
    "slot",
    [replace(SLOT, plugin="test_decoding"), replace(SLOT, plugin=None, database=None),
     replace(SLOT, database="store")],
)  # fmt: skip
def test_a_slot_of_somebody_else_is_never_touched(slot: SlotState) -> None:
    with pytest.raises(SlotOfOther):
        start(slot=slot, accept_gap=True)


def test_a_slot_that_is_still_being_made_is_waited_for() -> None:
    with pytest.raises(SlotInUse):
        start(slot=replace(SLOT, confirmed_lsn=None))


lsns = st.integers(0, 10).map(Lsn)
servers = st.builds(
    ServerState,
    st.integers(1, 2),
    st.integers(1, 3),
    st.just("shop"),
    lsns,
    st.sampled_from([150_000, 180_000]),
    st.booleans(),
    st.dictionaries(st.integers(1, 2), lsns),
)
slots = st.none() | st.builds(
    SlotState, st.just("bemi"), st.just("pgoutput"), st.just("shop"), lsns,
    st.sampled_from([None, "wal_removed"]),
)  # fmt: skip
offsets = st.none() | st.builds(
    StoredOffset, st.integers(1, 2), st.integers(1, 3), st.just("shop"), st.just("bemi"),
    st.just("bemi"), lsns,
)  # fmt: skip


@given(servers, slots, offsets, st.booleans())
def test_without_a_gap_nothing_between_the_stored_offset_and_the_start_is_skipped(
    server: ServerState, slot: SlotState | None, stored: StoredOffset | None, before: bool
) -> None:
    try:
        plan = start(server, slot, stored, captured_before=before)
    except Gap:
        return
    assert plan.gaps == ()
    assert not plan.drop_slot
    assert not plan.advance_slot
    if stored is not None:
        assert slot is not None
        assert slot.confirmed_lsn is not None
        assert slot.confirmed_lsn <= stored.lsn <= server.wal_end
        assert plan.at == stored.lsn
    elif before:
        assert slot is not None
        assert plan.at == slot.confirmed_lsn


@given(servers, slots, offsets, st.booleans())
def test_once_a_gap_is_accepted_it_always_goes_on(
    server: ServerState, slot: SlotState | None, stored: StoredOffset | None, before: bool
) -> None:
    plan = start(server, slot, stored, captured_before=before, accept_gap=True)
    assert (plan.at is None) == (plan.make_slot or plan.advance_slot)
    try:
        start(server, slot, stored, captured_before=before)
    except Gap:
        assert plan.gaps
    else:
        assert not plan.gaps


PUBLICATIONS = [
    ("the same", PUBLICATION, PUBLICATION, None),
    ("not made yet", None, None, None),
    ("first seen", None, LISTED, None),
    ("dropped", PUBLICATION, None, PublicationMissing),
    ("made again", PUBLICATION, replace(PUBLICATION, oid=99), PublicationMissing),
    ("without truncate", None, WITHOUT_TRUNCATE, PublicationChanged),
    ("only some tables now", PUBLICATION, replace(LISTED, version=2), PublicationChanged),
    ("all tables now", LISTED, replace(PUBLICATION, version=2), None),
    ("one table more", replace(LISTED, members=LISTED.members[:1]), LISTED, None),
    ("one table less", LISTED, replace(LISTED, members=LISTED.members[:1]), PublicationChanged),
    ("one table dropped", LISTED, replace(LISTED, members=LISTED.members[1:]), None),
    (
        "a table taken out and put back",
        LISTED,
        replace(LISTED, members=(*LISTED.members[:1], (93, 12, "public.b"))),
        PublicationChanged,
    ),
    ("altered and back", PUBLICATION, replace(PUBLICATION, version=2), PublicationChanged),
    ("more operations", replace(WITHOUT_TRUNCATE, version=0), PUBLICATION, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "before", "now", "error"), PUBLICATIONS, ids=[name for name, *_ in PUBLICATIONS]
)
def test_a_publication_may_only_grow(
    name: str,
    before: PublicationState | None,
    now: PublicationState | None,
    error: type[Gap] | None,
) -> None:
    # Table 11 was dropped, 12 still exists.
    found = check_publication(before, now, {12}, ALL)
    assert (found.error if found else None) is error


def test_a_slot_without_its_publication_cannot_be_read() -> None:
    found = check_publication(None, None, (), ALL, SLOT)
    assert found is not None
    assert "BEMI_PRODUCER_PUBLICATION_NAME" in found.message
    with pytest.raises(PublicationMissing):
        start(replace(SERVER, version=150_000), stored=None, publication=found)
    plan = start(replace(SERVER, version=150_000), stored=None, publication=found, accept_gap=True)
    assert plan.advance_slot
    assert [gap.from_lsn for gap in plan.gaps] == [SLOT.confirmed_lsn]
    assert check_publication(None, None, (), ALL, LOST) is None


def test_operations_that_are_skipped_need_not_be_published() -> None:
    assert check_publication(None, WITHOUT_TRUNCATE, (), ALL - {"truncate"}) is None
    found = check_publication(None, WITHOUT_TRUNCATE, (), ALL)
    assert found is not None
    assert "SET (publish = 'insert, update, delete, truncate')" in found.message


@pytest.mark.parametrize(("version", "advances"), [(150_000, True), (180_000, False)])
def test_a_publication_that_was_away_is_skipped_where_it_cannot_be_decoded(
    version: int, advances: bool
) -> None:
    finding = check_publication(PUBLICATION, replace(PUBLICATION, oid=99), (), ALL)
    server = replace(SERVER, version=version)
    with pytest.raises(PublicationMissing):
        start(server, publication=finding)
    plan = start(server, publication=finding, accept_gap=True)
    assert (plan.advance_slot, plan.at) == (advances, None if advances else 500)
    (gap,) = plan.gaps
    assert (gap.reason, gap.from_lsn, gap.to_lsn) == (GapReason.PUBLICATION_MISSING, 500, 1000)
