"""The producer's errors, by what has to be done about them.

Retry  ConnectionLost, SlotInUse, DeliveryFailed, TopicsMadeAnew
Stop   WalLevelNotLogical, UnsupportedServer, UnsupportedEncoding, NotPermitted, SourceRefused
       Gap: SlotLost, SlotMissing, SlotMovedOn, OtherServer, ServerWentBack, HistoryDiverged,
            PublicationMissing, PublicationChanged
       TopicCutShort, SlotOfOther, OffsetsUnreadable, OffsetsNotCompacted, RecordTooLarge,
       MalformedMessage, UnknownRelation, ValueNotConvertible
"""

from __future__ import annotations

import psycopg
from psycopg import errors as sqlstate

from runtime.errors import Retry, StageError, Stop
from runtime.postgres import refusal_advice


class ConnectionLost(Retry):
    """The connection to PostgreSQL is gone."""


class SlotInUse(Retry):
    """Another process is reading the replication slot; this one waits for it to end."""


class DeliveryFailed(Retry):
    """Kafka did not take a record; everything since the confirmed position is sent again."""


class TopicsMadeAnew(Retry):
    """Kafka has lost records that were acknowledged; what is not stored yet is sent again."""


class TopicCutShort(Stop):
    """Kafka has lost the end of a topic that the slot waits for."""


class WalLevelNotLogical(Stop):
    """wal_level is not logical.

    Run `ALTER SYSTEM SET wal_level = logical;` and restart PostgreSQL.
    """


class UnsupportedServer(Stop):
    """The server is older than PostgreSQL 14."""


class UnsupportedEncoding(Stop):
    """The database's encoding is SQL_ASCII, so the bytes of a text have no known meaning."""


class NotPermitted(Stop):
    """The server does not let the producer in, or the role lacks a right that it needs."""


class SourceRefused(Stop):
    """The server refuses what the producer asks for, and would refuse it again."""


class Gap(Stop):
    """Changes are missing, or there are some in Kafka that the server does not know.

    To go on all the same is a person's decision: it is recorded in the stream.
    """


class SlotLost(Gap):
    """The server removed WAL that the slot still needed; changes are missing."""


class SlotMissing(Gap):
    """The replication slot is gone although this pipeline has captured changes before."""


class SlotMovedOn(Gap):
    """The slot has confirmed changes that this pipeline has not stored."""


class OtherServer(Gap):
    """This is not the server or not the database that was captured from before."""


class ServerWentBack(Gap):
    """The server's history ends before the changes that were captured: it was restored."""


class HistoryDiverged(Gap):
    """The promoted server lacks changes that were captured from the one before it."""


class PublicationMissing(Gap):
    """The publication is gone while the slot reads it."""


class PublicationChanged(Gap):
    """The publication does not cover what it covered, or what it should."""


class SlotOfOther(Stop):
    """A replication slot of that name exists, but is not one of pgoutput in this database."""


class OffsetsUnreadable(Stop):
    """The offset store holds something that the producer has not written."""


class OffsetsNotCompacted(Stop):
    """The offset store's topic deletes by age, so the stored position would be forgotten."""


class RecordTooLarge(Stop):
    """A row's event is larger than a Kafka record may be."""


class MalformedMessage(Stop):
    """The server sent bytes that are no pgoutput message of protocol version 1."""


class ValueNotConvertible(Stop):
    """A stored value has no form in the value modes that are set."""


class UnknownRelation(Stop):
    """A row names a relation that the server has not described."""


ACCEPT_GAP = (
    "to go on all the same, with the gap recorded in the stream, start once with "
    "BEMI_PRODUCER_ACCEPT_GAP=true"
)


def from_psycopg(error: psycopg.Error) -> StageError:
    """Return what a database error means to the producer.

    Whatever may heal by itself is a Retry: a server that restarts, a network that breaks.
    """
    text = str(error).strip()
    if isinstance(error, sqlstate.ObjectInUse):
        return SlotInUse(text)
    if isinstance(error, sqlstate.InsufficientPrivilege):
        return NotPermitted(text)
    if isinstance(error, (sqlstate.InvalidPassword, sqlstate.InvalidAuthorizationSpecification)):
        return NotPermitted(f"{text}; check DB_USER and DB_PASSWORD")
    if isinstance(error, sqlstate.InvalidCatalogName):
        return NotPermitted(f"{text}; check DB_NAME")
    if isinstance(error, sqlstate.ConfigurationLimitExceeded):
        return SourceRefused(f"{text}; raise max_replication_slots or drop a slot nobody needs")
    if isinstance(error, sqlstate.ObjectNotInPrerequisiteState) and "slot" in text:
        return SlotLost(
            f"{text}; the changes since the slot's last position cannot be read any more; "
            f"{ACCEPT_GAP}"
        )
    if isinstance(error, sqlstate.UndefinedObject) and "publication" in text:
        return PublicationMissing(
            f"{text}: it was dropped, so changes made while there is none are not published; "
            f"create it again as it was; {ACCEPT_GAP}"
        )
    if isinstance(error, sqlstate.UndefinedObject) and "replication slot" in text:
        return SlotMissing(f"{text}: it was dropped, so changes since are missing; {ACCEPT_GAP}")
    # A failed log-in reaches the client as a message without a SQLSTATE.
    if error.sqlstate is None and (advice := refusal_advice(text, "DB_")) is not None:
        return NotPermitted(f"{text}; {advice}")
    if (error.sqlstate or "")[:2] in _REFUSALS:
        return SourceRefused(f"{text}; the server would refuse it again")
    return ConnectionLost(text)


_REFUSALS = frozenset({"0A", "22", "42"})
"""Classes of SQLSTATE that no waiting heals: not supported, wrong data, wrong statement."""
