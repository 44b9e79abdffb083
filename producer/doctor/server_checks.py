"""What is wrong with server, role, slot and publication. Pure: facts -> findings."""

from __future__ import annotations

from collections.abc import Iterator

from producer.doctor.facts import RoleFacts, ServerFacts, SlotFacts, SourceFacts
from producer.doctor.findings import Finding, Severity
from producer.source_state import OPERATIONS, PublicationState

OLDEST_MAJOR = 14
MOST_CLOCK_SECONDS = 1.0
MUCH_RETAINED_BYTES = 10 * 1024**3

LOST_BY_ALTER = {14: 18, 15: 13, 16: 9, 17: 5}
"""The first minor without the bug by which ALTER PUBLICATION or ALTER TYPE beside an open
transaction left rows of it out."""
MEMORY_ERRORS = {14: (18, 19), 15: (13, 14), 16: (9, 10), 17: (5, 6)}
"""The minors from, and up to, which much DDL ends decoding with `invalid memory alloc request`."""

_OK, _WARNING, _ERROR = Severity.OK, Severity.WARNING, Severity.ERROR


def check_source(facts: SourceFacts) -> Iterator[Finding]:
    """Return what there is to say of all but the tables."""
    yield from _versions(facts.server)
    yield from _settings(facts.server)
    yield from _room(facts.server, facts.slot)
    yield from _connection(facts.server)
    yield from _role(facts.role, facts.server, facts.publication)
    yield from _slot(facts)
    yield from _publication(facts)


def _versions(server: ServerFacts) -> Iterator[Finding]:
    version = f"PostgreSQL {server.major}.{server.minor}"
    if server.major < OLDEST_MAJOR:
        yield Finding(
            "server", _ERROR, f"{version} is too old", f"{OLDEST_MAJOR} is the oldest that works."
        )
        return
    fixed = LOST_BY_ALTER.get(server.major)
    first, after = MEMORY_ERRORS.get(server.major, (0, 0))
    if fixed is not None and server.minor < fixed:
        yield Finding(
            "server",
            _WARNING,
            f"{version} may lose rows of transactions that are open during ALTER PUBLICATION "
            "or ALTER TYPE",
            f"Update to {server.major}.{after} or later.",
        )
    elif first <= server.minor < after:
        yield Finding(
            "server",
            _WARNING,
            f"{version} may stop decoding with `invalid memory alloc request size` where there "
            "is much DDL",
            f"Update to {server.major}.{after} or later.",
        )
    else:
        yield Finding("server", _OK, f"{version}{', a standby' if server.is_standby else ''}")


def _settings(server: ServerFacts) -> Iterator[Finding]:
    level = server.settings.get("wal_level", "")
    if level == "logical":
        yield Finding("server", _OK, "wal_level is logical")
    else:
        yield Finding(
            "server",
            _ERROR,
            f"wal_level is {level}, so changes cannot be read",
            "Set it and restart the server (a managed one: rds.logical_replication=1, "
            "cloudsql.logical_decoding=on).",
            ("ALTER SYSTEM SET wal_level = logical;",),
        )
    if server.encoding == "SQL_ASCII":
        yield Finding(
            "server",
            _ERROR,
            "the database's encoding is SQL_ASCII, so its texts have no known meaning",
            "Dump it and load it into a database of another encoding.",
        )
    limit = server.settings.get("max_slot_wal_keep_size", "-1")
    if limit != "-1":
        yield Finding(
            "server",
            _WARNING,
            f"max_slot_wal_keep_size is {limit} MB: a slot further behind is lost, and changes "
            "with it",
            "It keeps the disk from filling. Watch bemi_slot_safe_bytes, or raise it.",
        )
    idle = server.settings.get("idle_replication_slot_timeout", "0")
    if idle != "0":
        yield Finding(
            "server",
            _WARNING,
            f"idle_replication_slot_timeout is {idle} s: a producer that is down for longer "
            "loses its slot, and changes with it",
            "Turn it off.",
            (
                "ALTER SYSTEM SET idle_replication_slot_timeout = 0;",
                "SELECT pg_reload_conf();",
            ),
        )
    if server.is_standby and server.settings.get("hot_standby_feedback") == "off":
        yield Finding(
            "server",
            _WARNING,
            "hot_standby_feedback is off on this standby: vacuum on the primary may invalidate "
            "the slot",
            "Turn it on.",
            ("ALTER SYSTEM SET hot_standby_feedback = on;", "SELECT pg_reload_conf();"),
        )


def _room(server: ServerFacts, slot: SlotFacts | None) -> Iterator[Finding]:
    for name, used, is_needed in (
        ("max_replication_slots", server.slots, slot is None),
        ("max_wal_senders", server.senders, slot is None or not slot.is_active),
    ):
        limit = int(server.settings.get(name, "0"))
        if used >= limit and is_needed:
            yield Finding(
                "server",
                _ERROR,
                f"all {limit} of {name} are used",
                "Raise it and restart the server, or drop what nobody needs.",
                (f"ALTER SYSTEM SET {name} = {limit + 4};",),
            )
        else:
            yield Finding("server", _OK, f"{used} of {limit} {name} used")


def _connection(server: ServerFacts) -> Iterator[Finding]:
    if server.is_pooled:
        yield Finding(
            "server",
            _WARNING,
            "a pooler stands between the producer and the server",
            "Let DB_HOST and DB_PORT be the server's own: replication needs a session of its "
            "own, which PgBouncer passes from 1.23 on.",
        )
    if server.replication_problem is not None:
        yield Finding(
            "server",
            _ERROR,
            f"no replication connection can be opened: {server.replication_problem}",
            "pg_hba.conf must let the role in to this database (a line for `replication` is for "
            "physical standbys), and no pooler may stand in between.",
        )
    ahead = server.clock_ahead_seconds
    if abs(ahead) > MOST_CLOCK_SECONDS:
        yield Finding(
            "clock",
            _WARNING,
            f"the server's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} "
            "this machine's",
            "Let both follow a time server; delays are measured between the two.",
        )
    else:
        yield Finding("clock", _OK, f"clocks are {abs(ahead):.1f} s apart")


def _role(
    role: RoleFacts, server: ServerFacts, publication: PublicationState | None
) -> Iterator[Finding]:
    if not (role.may_replicate or role.is_superuser) and server.replication_problem is not None:
        yield Finding(
            "role",
            _ERROR,
            f"role {role.name} may not replicate",
            "See `bemi-producer doctor --sql`.",
            (f'ALTER ROLE "{role.name.replace(chr(34), chr(34) * 2)}" REPLICATION;',),
        )
    elif role.is_superuser:
        yield Finding(
            "role",
            _WARNING,
            f"role {role.name} is a superuser",
            "The producer needs a role with REPLICATION only: `bemi-producer doctor --sql`.",
        )
    else:
        yield Finding("role", _OK, f"role {role.name} may replicate")
    if not role.may_write_messages and not server.is_standby:
        yield Finding(
            "role",
            _ERROR,
            f"role {role.name} may not write heartbeats, so an idle database keeps all of its log",
            "Let it execute the function.",
            (
                "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text"
                f"{', boolean' if server.major >= 17 else ''}) TO ...;",
            ),
        )
    if publication is None and not role.is_superuser:
        yield Finding(
            "role",
            _WARNING,
            "there is no publication, and only a superuser can make one for all tables",
            "Run `bemi-producer doctor --sql` as a superuser.",
        )


def _slot(facts: SourceFacts) -> Iterator[Finding]:
    slot = facts.slot
    if slot is None:
        yield Finding("slot", _OK, f"there is no slot {facts.slot_name} yet; the producer makes it")
    else:
        yield _own_slot(slot)
    for other in facts.slots:
        if (
            other.name != facts.slot_name
            and not other.is_active
            and (other.retained_bytes or 0) > MUCH_RETAINED_BYTES
        ):
            yield Finding(
                "slot",
                _WARNING,
                f"slot {other.name}, which nobody reads, keeps {_gib(other.retained_bytes)}",
                "Drop it if nobody needs it.",
                (f"SELECT pg_drop_replication_slot('{other.name}');",),
            )


def _own_slot(slot: SlotFacts) -> Finding:
    kept = f"slot {slot.name} keeps {_gib(slot.retained_bytes)}"
    if slot.plugin != "pgoutput":
        return Finding(
            "slot",
            _ERROR,
            f"slot {slot.name} is of the plugin {slot.plugin}, not pgoutput",
            "Give the producer another name: BEMI_PRODUCER_SLOT_NAME.",
        )
    if slot.wal_status == "lost":
        return Finding(
            "slot",
            _ERROR,
            f"slot {slot.name} is lost: the server removed log that was not read yet",
            "Changes are missing. BEMI_PRODUCER_ACCEPT_GAP=true goes on and records the gap.",
        )
    if slot.wal_status == "unreserved":
        return Finding(
            "slot",
            _ERROR,
            f"{kept}, more than the server wants to keep: it is lost at the next checkpoint",
            "Start the producer now, or raise max_slot_wal_keep_size.",
        )
    if not slot.is_active:
        return Finding("slot", _WARNING, f"{kept}, and nobody reads it", "Start the producer.")
    if (slot.retained_bytes or 0) > MUCH_RETAINED_BYTES:
        return Finding(
            "slot",
            _WARNING,
            kept,
            "Is the producer far behind, or a transaction open for long? See `bemi-producer "
            "status`.",
        )
    return Finding("slot", _OK, f"{kept} and is read")


def _publication(facts: SourceFacts) -> Iterator[Finding]:
    publication = facts.publication
    name = facts.publication_name
    if publication is None:
        yield Finding(
            "publication", _OK, f"there is no publication {name} yet; the producer makes it"
        )
        return
    left_out = [each for each in OPERATIONS if each not in publication.operations]
    if left_out:
        quoted = name.replace('"', '""')
        yield Finding(
            "publication",
            _ERROR,
            f"publication {name} leaves out {', '.join(left_out)}",
            "Unless that is wanted (skipped.operations), publish all.",
            (f"ALTER PUBLICATION \"{quoted}\" SET (publish = '{', '.join(OPERATIONS)}');",),
        )
    if publication.all_tables:
        yield Finding("publication", _OK, f"publication {name} covers all tables")
    else:
        count = len(publication.members)
        yield Finding(
            "publication",
            _OK,
            f"publication {name} lists {count} tables or schemas; a new one has to be added",
        )


def _gib(size: int | None) -> str:
    if size is None:
        return "an unknown amount of log"
    if size < 1024**3:
        return f"{size / 1024**2:.1f} MiB of log"
    return f"{size / 1024**3:.1f} GiB of log"
