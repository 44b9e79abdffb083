"""Do what is safe: nothing that loses, restarts or blocks anything. Edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from psycopg import sql

from producer.connections import connect_observer, kafka_client
from producer.doctor.findings import Finding, Fix, TopicSetting, WholeRowIdentity
from producer.settings import ProducerSettings
from producer.sql_connection import Connection
from runtime.errors import StageError
from runtime.kafka_client import Admin

REQUEST_SECONDS = 10.0

Outcome = tuple[Fix, "str | None"]
"""What was tried, and why it could not be done."""


def apply_fixes(findings: Iterable[Finding], settings: ProducerSettings) -> Iterator[Outcome]:
    """Apply the fixes of the findings, each by itself; one that fails does not stop the others."""
    fixes = [fix for finding in findings for fix in finding.fixes]
    identities = [fix for fix in fixes if isinstance(fix, WholeRowIdentity)]
    if identities:
        yield from _set_identities(identities, settings)
    settings_of_topics = [fix for fix in fixes if isinstance(fix, TopicSetting)]
    if settings_of_topics:
        admin = Admin(kafka_client(settings))
        for fix in settings_of_topics:
            yield fix, _set_topic(fix, admin)


def _set_identities(
    fixes: Iterable[WholeRowIdentity], settings: ProducerSettings
) -> Iterator[Outcome]:
    try:
        with closing(connect_observer(settings)) as connection:
            # Whoever waits for a lock makes everybody behind wait; statement_timeout ends it.
            connection.execute("SET lock_timeout = '2s'")
            for fix in fixes:
                yield fix, _set_identity(connection, fix)
    except StageError as error:
        for fix in fixes:
            yield fix, str(error)


def _set_identity(connection: Connection, fix: WholeRowIdentity) -> str | None:
    statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(
        sql.Identifier(fix.pg_schema, fix.table)
    )
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        return f"{error.diag.message_primary}; run this with DB_USER=OWNER, or its SQL by the owner"
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    return None


def _set_topic(fix: TopicSetting, admin: Admin) -> str | None:
    entry = ConfigEntry(fix.name, fix.value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, fix.topic, incremental_configs=[entry])
    try:
        for answer in admin.incremental_alter_configs(
            [resource], request_timeout=REQUEST_SECONDS
        ).values():
            answer.result(REQUEST_SECONDS)
    except (KafkaException, FutureTimeout) as error:
        return str(error)
    return None
