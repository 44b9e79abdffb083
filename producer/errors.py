"""The producer's errors, by what has to be done about them.

Retry  ConnectionLost, SlotInUse, DeliveryFailed
Stop   WalLevelNotLogical, UnsupportedServer, UnsupportedEncoding, NotPermitted, SlotLost,
       SlotMissing, SlotOfOther, PublicationMissing, RecordTooLarge, MalformedMessage,
       UnknownRelation
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors as sqlstate

from runtime.errors import Retry, StageError, Stop


class ConnectionLost(Retry):
    """The connection to PostgreSQL is gone."""


class SlotInUse(Retry):
    """Another process is reading the replication slot; this one waits for it to end."""


class DeliveryFailed(Retry):
    """Kafka did not take a record; everything since the confirmed position is sent again."""


class WalLevelNotLogical(Stop):
    """wal_level is not logical.

    Run `ALTER SYSTEM SET wal_level = logical;` and restart PostgreSQL.
    """


class UnsupportedServer(Stop):
    """The server is older than PostgreSQL 14."""


class UnsupportedEncoding(Stop):
    """The database's encoding is SQL_ASCII, so the bytes of a text have no known meaning."""


class NotPermitted(Stop):
    """The role lacks a right that the producer needs."""


class SlotLost(Stop):
    """The server removed WAL that the slot still needed; changes are missing."""


class SlotMissing(Stop):
    """The replication slot is gone although this pipeline has captured changes before."""


class SlotOfOther(Stop):
    """A replication slot of that name exists, but is not one of pgoutput in this database."""


class PublicationMissing(Stop):
    """The publication is gone while the slot reads it."""


class RecordTooLarge(Stop):
    """A row's event is larger than a Kafka record may be."""


class MalformedMessage(Stop):
    """The server sent bytes that are no pgoutput message of protocol version 1."""


class UnknownRelation(Stop):
    """A row names a relation that the server has not described."""


_NO_SUCH_DATABASE = re.compile(r'FATAL: +database ".*" does not exist')


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
    if isinstance(error, sqlstate.ObjectNotInPrerequisiteState):
        return SlotLost(
            f"{text}; the changes since the slot's last position cannot be read any more"
        )
    if isinstance(error, sqlstate.UndefinedObject):
        return PublicationMissing(f"{text}; create it again as it was, then start the producer")
    # A failed log-in reaches the client as a message without a SQLSTATE.
    if "password authentication failed" in text or "no password supplied" in text:
        return NotPermitted(f"{text}; check DB_USER and DB_PASSWORD")
    if _NO_SUCH_DATABASE.search(text):
        return NotPermitted(f"{text}; check DB_NAME")
    return ConnectionLost(text)
