"""What is wrong with the tables: those that break, are not covered, or tell too little. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from producer.doctor.facts import SourceFacts, TableFacts
from producer.doctor.findings import Finding, Severity, WholeRowIdentity, some_of

_OK, _WARNING, _ERROR = Severity.OK, Severity.WARNING, Severity.ERROR
_ORDINARY = ("r", "p")


def check_tables(facts: SourceFacts) -> Iterator[Finding]:
    """Return what there is to say of the tables, several of a kind in one finding."""
    tables = facts.tables
    yield from _breaking(facts)
    yield from _uncovered(facts)
    yield from _identity(facts)
    yield from _partly(tables)
    unreadable = [t for t in tables if t.is_covered and t.is_included and not t.is_readable]
    if unreadable:
        yield Finding(
            "tables",
            _WARNING,
            f"the role may not read {some_of(t.name for t in unreadable)}: no snapshot of them",
            "Changes need no right to read; rows that were there before do.",
            tuple(f"GRANT SELECT ON {t.quoted} TO ...;" for t in unreadable),
        )


def _breaking(facts: SourceFacts) -> Iterator[Finding]:
    publication = facts.publication
    publishes = publication is not None and publication.operations & {"update", "delete"}
    without = _those(facts.tables, lambda t: t.is_covered and not t.has_identity)
    if without and publishes:
        yield Finding(
            "tables",
            _ERROR,
            f"UPDATE and DELETE on {some_of(t.name for t in without)} fail for the application: "
            "published, and without a replica identity",
            "Give them one; a primary key, or the whole row.",
            tuple(map(_full, without)),
            tuple(WholeRowIdentity(t.pg_schema, t.table) for t in without),
        )
    listed = _those(
        facts.tables,
        lambda t: t.is_covered and t.has_column_list and t.replica_identity == "f",
    )
    if listed and publishes:
        yield Finding(
            "tables",
            _ERROR,
            f"UPDATE and DELETE on {some_of(t.name for t in listed)} fail for the application: "
            "REPLICA IDENTITY FULL does not go with a list of columns",
            "Publish all columns; BEMI_PRODUCER_COLUMN_EXCLUDE_LIST leaves some out.",
        )
    later = _those(facts.tables, lambda t: not t.has_identity and publication is None)
    if later:
        yield Finding(
            "tables",
            _WARNING,
            f"{some_of(t.name for t in later)} have no replica identity",
            "The producer sets FULL before it makes the publication; whoever makes it otherwise "
            "must do so first, or UPDATE and DELETE fail.",
            tuple(map(_full, later)),
        )


def _uncovered(facts: SourceFacts) -> Iterator[Finding]:
    included = [t for t in facts.tables if t.is_included]
    foreign = [t for t in included if t.kind == "f"]
    unlogged = [t for t in included if t.persistence == "u"]
    for tables, what in ((unlogged, "unlogged"), (foreign, "foreign")):
        if tables:
            sql = tuple(f"ALTER TABLE {t.quoted} SET LOGGED;" for t in tables if t.kind != "f")
            yield Finding(
                "tables",
                _WARNING,
                f"{some_of(t.name for t in tables)} {_are(tables)} {what}: their changes are not "
                "in the log and never tracked",
                "SET LOGGED has them tracked; it rewrites the table and holds it for as long."
                if sql
                else "Track them where they are.",
                sql,
            )
    if facts.publication is None:
        return
    missing = [t for t in included if t.kind == "r" and t.persistence == "p" and not t.is_covered]
    publication = facts.publication_name.replace('"', '""')
    if missing:
        yield Finding(
            "tables",
            _WARNING,
            f"publication {facts.publication_name} does not cover "
            f"{some_of(t.name for t in missing)}",
            "Add them, after they have a replica identity, or leave them out by "
            "BEMI_PRODUCER_TABLE_EXCLUDE_LIST.",
            tuple(f'ALTER PUBLICATION "{publication}" ADD TABLE {t.quoted};' for t in missing),
        )
    else:
        count = sum(t.kind in _ORDINARY and t.is_covered for t in included)
        yield Finding("tables", _OK, f"{count} tables are covered")


def _identity(facts: SourceFacts) -> Iterator[Finding]:
    partial = _those(
        facts.tables,
        lambda t: t.is_covered and t.is_included and t.has_identity and t.replica_identity != "f",
    )
    if partial:
        yield Finding(
            "tables",
            _WARNING,
            f"{some_of(t.name for t in partial)}: `before` has the key only, and not even that "
            "where an UPDATE leaves it alone",
            "REPLICA IDENTITY FULL tells the whole row as it was; each UPDATE and DELETE then "
            "writes it to the log once more.",
            tuple(map(_full, partial)),
        )


def _partly(tables: Sequence[TableFacts]) -> Iterator[Finding]:
    filtered = [t for t in tables if t.has_row_filter]
    if filtered:
        yield Finding(
            "tables",
            _WARNING,
            f"only some rows of {some_of(t.name for t in filtered)} are published",
            "Changes of the other rows are not tracked.",
        )


def _those(
    tables: Sequence[TableFacts], is_wanted: Callable[[TableFacts], object]
) -> list[TableFacts]:
    ordinary = (t for t in tables if t.kind in _ORDINARY and t.persistence == "p")
    return [t for t in ordinary if is_wanted(t)]


def _full(table: TableFacts) -> str:
    return f"ALTER TABLE {table.quoted} REPLICA IDENTITY FULL;"


def _are(tables: Sequence[TableFacts]) -> str:
    return "is" if len(tables) == 1 else "are"
