"""Put together what reads tables while streaming, as the settings ask. Edge: joins the parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from producer.assembly import Assembly
from producer.connections import kafka_client, signal_table
from producer.initial_snapshot import read_parts
from producer.offset_store import KeyValues
from producer.settings import ProducerSettings
from producer.snapshot.incremental import IncrementalSettings, IncrementalSnapshots
from producer.snapshot.signal_file import SignalFile
from producer.snapshot.signal_topic import SignalTopic
from producer.snapshot.stream_follower import StreamFollower
from schemas.topics import OWN_SCHEMA, is_own_table

MILLISECONDS = 1000


def stream_follower(
    settings: ProducerSettings,
    assembly: Assembly,
    store: KeyValues,
    ensure_topic: Callable[[str], None],
) -> StreamFollower | None:
    """Return what follows the stream, or None where no signal can come."""
    enabled = settings.signal_enabled_channels
    table = signal_table(settings)
    if not settings.publish_tables or not (table.is_configured or {"kafka", "file"} & {*enabled}):
        return None

    def is_captured(pg_schema: str, name: str) -> bool:
        is_own = pg_schema == OWN_SCHEMA and is_own_table(name)
        return not is_own and assembly.filters.captures_table(pg_schema, name)

    snapshots = IncrementalSnapshots(
        IncrementalSettings(
            settings.publication_name,
            settings.slot_name,
            settings.incremental_snapshot_chunk_size,
            may_write=not settings.read_only,
        ),
        read_parts(settings, assembly.run_id),
        store,
        is_captured,
        ensure_topic,
    )
    poll_seconds = settings.signal_poll_interval_ms / MILLISECONDS
    channels: list[SignalTopic | SignalFile] = []
    if "kafka" in enabled:
        channels.append(_topic(settings))
    if "file" in enabled:
        channels.append(SignalFile(Path(settings.signal_file)))
    return StreamFollower(snapshots, table, channels, poll_seconds)


def _topic(settings: ProducerSettings) -> SignalTopic:
    client = kafka_client(settings)
    if settings.signal_kafka_bootstrap_servers:
        client = client | {"bootstrap.servers": settings.signal_kafka_bootstrap_servers}
    return SignalTopic(
        client,
        settings.signal_kafka_topic or f"{settings.topic_prefix}-signal",
        settings.signal_kafka_groupid,
        settings.topic_prefix,
    )
