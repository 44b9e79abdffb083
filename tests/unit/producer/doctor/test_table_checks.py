"""What the doctor says of tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.doctor.facts import SourceFacts, TableFacts
from producer.doctor.findings import Finding, Severity, WholeRowIdentity
from producer.doctor.table_checks import check_tables
from producer.source_state import PublicationState
from tests.unit.producer.doctor.test_server_checks import ALL_TABLES, FACTS

WHOLE = TableFacts(
    pg_schema="public",
    table="todo",
    quoted="public.todo",
    kind="r",
    persistence="p",
    replica_identity="f",
    has_identity=True,
    is_covered=True,
    has_column_list=False,
    has_row_filter=False,
    is_readable=True,
)


def facts(*tables: TableFacts, publication: PublicationState | None = ALL_TABLES) -> SourceFacts:
    return replace(FACTS, tables=tables, publication=publication)


def wrong(found: SourceFacts) -> list[Finding]:
    return [each for each in check_tables(found) if each.severity is not Severity.OK]


def test_a_table_that_tells_its_whole_rows_has_nothing_wrong() -> None:
    assert not wrong(facts(WHOLE))


def test_a_covered_table_without_identity_breaks_the_application() -> None:
    keyless = replace(
        WHOLE, table='o"dd', quoted='public."o""dd"', replica_identity="d", has_identity=False
    )
    (finding,) = wrong(facts(WHOLE, keyless))
    assert finding.severity is Severity.ERROR
    assert 'public.o"dd' in finding.summary
    assert finding.sql == ('ALTER TABLE public."o""dd" REPLICA IDENTITY FULL;',)
    assert finding.fixes == (WholeRowIdentity("public", 'o"dd'),)


def test_nothing_breaks_where_only_inserts_are_published() -> None:
    keyless = replace(WHOLE, replica_identity="n", has_identity=False)
    inserts = replace(ALL_TABLES, operations=frozenset({"insert"}))
    assert not wrong(facts(keyless, publication=inserts))


def test_before_there_is_a_publication_a_table_without_identity_is_a_warning() -> None:
    keyless = replace(WHOLE, is_covered=False, replica_identity="n", has_identity=False)
    (finding,) = wrong(facts(keyless, publication=None))
    assert finding.severity is Severity.WARNING
    assert not finding.fixes


def test_a_column_list_beside_full_breaks_the_application() -> None:
    (finding,) = wrong(facts(replace(WHOLE, has_column_list=True)))
    assert finding.severity is Severity.ERROR
    assert "list of columns" in finding.summary


WARNINGS = {
    "`before` has the key only": replace(WHOLE, replica_identity="d"),
    "is unlogged": replace(WHOLE, persistence="u", is_covered=False),
    "is foreign": replace(WHOLE, kind="f", is_covered=False),
    "does not cover": replace(WHOLE, is_covered=False),
    "only some rows": replace(WHOLE, has_row_filter=True),
    "may not read": replace(WHOLE, is_readable=False),
}


@pytest.mark.parametrize("text", WARNINGS)
def test_what_is_not_tracked_or_tells_too_little_is_a_warning(text: str) -> None:
    (finding,) = wrong(facts(WARNINGS[text]))
    assert finding.severity is Severity.WARNING
    assert text in finding.summary
    assert "public.todo" in finding.summary


def test_a_table_that_the_settings_leave_out_need_not_be_covered() -> None:
    assert not wrong(facts(replace(WHOLE, is_covered=False, is_included=False)))


def test_a_partitioned_table_is_covered_by_its_partitions() -> None:
    root = replace(WHOLE, table="parts", kind="p", is_covered=False)
    assert not wrong(facts(root, WHOLE))


def test_many_tables_are_one_line() -> None:
    tables = [replace(WHOLE, table=f"t{n}", replica_identity="d") for n in range(10)]
    (finding,) = wrong(facts(*tables))
    assert "public.t3 and 6 more" in finding.summary
    assert len(finding.sql) == 10
