"""What the doctor says of server, role, slot and publication."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.doctor.facts import RoleFacts, ServerFacts, SlotFacts, SourceFacts
from producer.doctor.findings import Finding, Severity
from producer.doctor.server_checks import check_source
from producer.source_state import OPERATIONS, PublicationState

GIB = 1024**3
SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_slot_wal_keep_size": "-1",
    "hot_standby_feedback": "off",
}
SERVER = ServerFacts(
    version=180_004,
    settings=SETTINGS,
    encoding="UTF8",
    is_standby=False,
    slots=1,
    senders=1,
    clock_ahead_seconds=0.01,
    is_pooled=False,
    replication_problem=None,
)
ROLE = RoleFacts("bemi_source", False, True, True, False)
SLOT = SlotFacts("bemi", "pgoutput", "shop", True, "reserved", 1000, None)
ALL_TABLES = PublicationState("bemi", 1, 1, True, frozenset(OPERATIONS))
FACTS = SourceFacts(SERVER, ROLE, "bemi", (SLOT,), "bemi", ALL_TABLES, ())


def wrong(facts: SourceFacts) -> list[Finding]:
    return [each for each in check_source(facts) if each.severity is not Severity.OK]


def server(**changes: object) -> SourceFacts:
    return replace(FACTS, server=replace(SERVER, **changes))  # type: ignore[arg-type]


def settings(**changes: str) -> SourceFacts:
    return server(settings=SETTINGS | changes)


def role(**changes: object) -> SourceFacts:
    return replace(FACTS, role=replace(ROLE, **changes))  # type: ignore[arg-type]


def slot(**changes: object) -> SourceFacts:
    return replace(FACTS, slots=(replace(SLOT, **changes),))  # type: ignore[arg-type]


def test_a_source_that_is_as_it_should_be_has_nothing_wrong() -> None:
    assert not wrong(FACTS)
    assert not wrong(replace(FACTS, slots=(), role=replace(ROLE, is_superuser=False)))


WARNINGS = {
    "may lose rows": server(version=150_012),
    "invalid memory alloc": server(version=170_005),
    "max_slot_wal_keep_size is 1024 MB": settings(max_slot_wal_keep_size="1024"),
    "idle_replication_slot_timeout is 60 s": settings(idle_replication_slot_timeout="60"),
    "hot_standby_feedback is off": server(is_standby=True),
    "a pooler stands": server(is_pooled=True),
    "2.5 s ahead of": server(clock_ahead_seconds=2.5),
    "2.5 s behind": server(clock_ahead_seconds=-2.5),
    "is a superuser": role(is_superuser=True),
    "only a superuser can make one": replace(FACTS, publication=None),
    "nobody reads it": slot(is_active=False),
    "keeps 20.0 GiB": slot(retained_bytes=20 * GIB),
    "slot other, which nobody reads": replace(
        FACTS,
        slots=(SLOT, replace(SLOT, name="other", is_active=False, retained_bytes=20 * GIB)),
    ),
}
ERRORS = {
    "is too old": server(version=130_022),
    "wal_level is replica": settings(wal_level="replica"),
    "SQL_ASCII": server(encoding="SQL_ASCII"),
    "all 10 of max_replication_slots": replace(server(slots=10), slots=()),
    "all 10 of max_wal_senders": replace(server(senders=10), slots=(replace(SLOT, name="x"),)),
    "no replication connection can be opened: no pg_hba.conf entry": server(
        replication_problem="no pg_hba.conf entry"
    ),
    "may not write heartbeats": role(may_write_messages=False),
    "plugin wal2json": slot(plugin="wal2json"),
    "is lost": slot(wal_status="lost"),
    "lost at the next checkpoint": slot(wal_status="unreserved"),
    "leaves out truncate": replace(
        FACTS, publication=replace(ALL_TABLES, operations=frozenset(OPERATIONS[:3]))
    ),
}


@pytest.mark.parametrize("text", WARNINGS)
def test_what_somebody_will_regret_is_a_warning_with_advice(text: str) -> None:
    (finding,) = wrong(WARNINGS[text])
    assert finding.severity is Severity.WARNING
    assert text in finding.summary
    assert finding.advice


@pytest.mark.parametrize("text", ERRORS)
def test_what_does_not_work_is_an_error_with_advice(text: str) -> None:
    (finding,) = wrong(ERRORS[text])
    assert finding.severity is Severity.ERROR
    assert text in finding.summary
    assert finding.advice


def test_a_role_that_cannot_replicate_is_named_with_the_sql() -> None:
    facts = replace(
        server(replication_problem="must be superuser or replication role"),
        role=replace(ROLE, name='o"dd', may_replicate=False),
    )
    connection, right = wrong(facts)
    assert "no replication connection" in connection.summary
    assert right.sql == ('ALTER ROLE "o""dd" REPLICATION;',)


def test_a_room_that_the_own_slot_has_is_no_error() -> None:
    assert not wrong(server(slots=10, senders=10))


@pytest.mark.parametrize(
    ("version", "is_safe"),
    [(140_017, False), (140_018, False), (140_019, True), (160_010, True), (180_000, True)],
)
def test_minor_versions_count_within_their_major(version: int, is_safe: bool) -> None:
    assert (not wrong(server(version=version))) is is_safe
