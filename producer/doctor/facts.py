"""What the doctor looks at, as it was found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from producer.source_state import PublicationState


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server with the tracked database."""

    version: int  # As server_version_num: 150018.
    settings: Mapping[str, str]
    """By name, as pg_settings has them; one that the version lacks is not there."""
    encoding: str
    is_standby: bool
    slots: int
    senders: int
    clock_ahead_seconds: float
    """How far its clock is before ours."""
    is_pooled: bool
    """Whether something between answers in the server's place."""
    replication_problem: str | None
    """Why a replication connection could not be opened, None where it could."""

    @property
    def major(self) -> int:
        """The major version: 15."""
        return self.version // 10_000

    @property
    def minor(self) -> int:
        """The minor version: 18 of 15.18."""
        return self.version % 10_000


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The role that the producer logs in with."""

    name: str
    is_superuser: bool
    may_replicate: bool
    """By the attribute or, on managed servers, by membership."""
    may_write_messages: bool
    """Whether it may emit logical messages: heartbeats."""
    may_create_in_database: bool


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """A replication slot of the server."""

    name: str
    plugin: str | None
    database: str | None
    is_active: bool
    wal_status: str | None
    retained_bytes: int | None
    safe_bytes: int | None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table of the database, not of the system's and not of the sink's."""

    pg_schema: str
    table: str
    quoted: str
    """Both as SQL needs them."""
    kind: str  # relkind: r is a table, p a partitioned one, f a foreign one.
    persistence: str  # relpersistence: p is permanent, u unlogged.
    replica_identity: str  # relreplident: d, n, f or i.
    has_identity: bool
    """Whether its UPDATE and DELETE can be published: a key, an index or the whole row."""
    is_covered: bool
    """Whether the publication covers it, by itself or by the table it is a partition of."""
    has_column_list: bool
    has_row_filter: bool
    is_readable: bool
    """Whether the role may SELECT from it, as a snapshot does."""
    is_included: bool = True
    """Whether the settings' filters let it through."""

    @property
    def name(self) -> str:
        """The name as people write it."""
        return f"{self.pg_schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class ColumnFound:
    """A column of such a table; of a domain, its base type's."""

    pg_schema: str
    table: str
    column: str
    type_oid: int
    type_kind: str  # pg_type.typtype.
    is_in_key: bool
    """Whether it is part of the primary key."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Its schema, table and own name."""
        return self.pg_schema, self.table, self.column

    @property
    def name(self) -> str:
        """The name as expressions have to match it."""
        return ".".join(self.place)


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """All that was found in the tracked database."""

    server: ServerFacts
    role: RoleFacts
    slot_name: str
    slots: tuple[SlotFacts, ...]
    publication_name: str
    publication: PublicationState | None
    tables: tuple[TableFacts, ...]
    columns: tuple[ColumnFound, ...] = ()

    @property
    def slot(self) -> SlotFacts | None:
        """The slot of this producer, if there is one."""
        return next((slot for slot in self.slots if slot.name == self.slot_name), None)


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the brokers keep it."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A consumer group of the pipeline, over all partitions of its topic."""

    name: str
    topic: str
    behind: int
    """Records it has not done yet."""
    removed: int
    """Records that retention removed before it had done them."""


@dataclass(frozen=True, slots=True)
class KafkaFacts:
    """What the brokers say."""

    brokers: int
    config: Mapping[str, str]
    """Of the broker that answered."""
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    groups: tuple[GroupFacts, ...] = ()
