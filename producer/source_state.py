"""What is known of where the producer stands: said by the server, kept in the offset store. Pure.

The server says where its log ends, what the slot has confirmed and what the publication
covers now. The store says how all that was when the producer last wrote it down. `start_checks`
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from producer.errors import OffsetsUnreadable
from schemas.change_id import Lsn, format_lsn, parse_lsn

OPERATIONS = ("insert", "update", "delete", "truncate")
"""What a publication may publish, in the order in which PostgreSQL lists it."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """Which server this is, and how far its history goes."""

    system_identifier: int
    timeline: int
    database: str
    wal_end: Lsn  # Everything before it is on the server's disk.
    version: int  # As server_version_num: 150018.
    is_standby: bool = False
    timeline_ends: Mapping[int, Lsn] = field(default_factory=dict)
    """Where the history of each former timeline ended that led to this one."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """A replication slot as pg_replication_slots shows it."""

    name: str
    plugin: str | None
    database: str | None
    confirmed_lsn: Lsn | None  # None while another session is still making the slot.
    invalidation: str | None = None
    """Why the slot can never be read again, in the server's word for it."""
    failover: bool = False  # Standbys take it over: PostgreSQL 17 and later.
    reader_pid: int | None = None  # The server process that streams it to somebody just now.

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> SlotState:
        """Read a row of pg_replication_slots, whichever columns this version has.

        wal_status says `lost` from 13 on, `conflicting` is of 16, `invalidation_reason` of 17.
        """
        confirmed = row.get("confirmed_flush_lsn")
        invalidation = row.get("invalidation_reason")
        if invalidation is None and row.get("wal_status") == "lost":
            invalidation = "wal_removed"
        if invalidation is None and row.get("conflicting"):
            invalidation = "conflict with recovery"
        return cls(
            name=str(row["slot_name"]),
            plugin=row.get("plugin"),
            database=row.get("database"),
            confirmed_lsn=None if confirmed is None else parse_lsn(confirmed),
            invalidation=invalidation,
            failover=bool(row.get("failover")),
            reader_pid=row.get("active_pid"),
        )


@dataclass(frozen=True, slots=True)
class PublicationState:
    """What a publication covers.

    `oid` tells one that was dropped and made again from the old one. `version` changes with
    each ALTER, so a change that was taken back is seen too. `members` are the tables and
    schemas listed one by one: the listing's own oid, the listed object's oid, what is listed.
    """

    name: str
    oid: int
    version: int
    all_tables: bool
    operations: frozenset[str]
    via_partition_root: bool = False
    members: tuple[tuple[int, int, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form that the offset store keeps."""
        return {
            "name": self.name,
            "oid": self.oid,
            "version": self.version,
            "all_tables": self.all_tables,
            "operations": [each for each in OPERATIONS if each in self.operations],
            "via_partition_root": self.via_partition_root,
            "members": [list(member) for member in self.members],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PublicationState:
        """Read the form that `to_json` gives; raises OffsetsUnreadable on any other."""
        try:
            return cls(
                name=str(value["name"]),
                oid=int(value["oid"]),
                version=int(value["version"]),
                all_tables=bool(value["all_tables"]),
                operations=frozenset(map(str, value["operations"])),
                via_partition_root=bool(value["via_partition_root"]),
                members=tuple((int(a), int(b), str(c)) for a, b, c in value["members"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OffsetsUnreadable(f"the offset store holds no publication: {error!r}") from error


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """The last position before which Kafka has acknowledged every record, and whose it is."""

    system_identifier: int
    timeline: int
    database: str
    slot_name: str
    publication_name: str
    lsn: Lsn

    def is_of(self, server: ServerState) -> bool:
        """Tell whether it is a position in this database of this server."""
        return (self.system_identifier, self.database) == (
            server.system_identifier,
            server.database,
        )

    def at(self, lsn: Lsn) -> StoredOffset:
        """Return the same at another position."""
        return replace(self, lsn=lsn)

    def to_json(self) -> dict[str, Any]:
        """Return the form that the offset store keeps.

        The system identifier is text there: it has more digits than a JavaScript number.
        """
        return {
            "system_identifier": str(self.system_identifier),
            "timeline": self.timeline,
            "database": self.database,
            "slot": self.slot_name,
            "publication": self.publication_name,
            "lsn": format_lsn(self.lsn),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StoredOffset:
        """Read the form that `to_json` gives; raises OffsetsUnreadable on any other."""
        try:
            return cls(
                system_identifier=int(value["system_identifier"]),
                timeline=int(value["timeline"]),
                database=str(value["database"]),
                slot_name=str(value["slot"]),
                publication_name=str(value["publication"]),
                lsn=parse_lsn(value["lsn"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OffsetsUnreadable(f"the offset store holds no position: {error!r}") from error


def parse_timeline_history(content: str) -> dict[int, Lsn]:
    """Return where each timeline of a history file ended: `1 <tab> 0/3000000 <tab> reason`.

    Manual: "Continuous Archiving", section "Timelines".
    """
    ends = {}
    for line in content.splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0].isdecimal():
            ends[int(parts[0])] = parse_lsn(parts[1])
    return ends
