"""Put together what reads tables while streaming, as the settings ask. Edge: joins the parts."""

from __future__ import annotations

from collections.abc import Callable

from producer.assembly import Assembly
from producer.connections import kafka_client
from producer.initial_snapshot import read_parts
from producer.offset_store import KeyValues
from producer.settings import ProducerSettings
from producer.snapshot.incremental import IncrementalSettings, IncrementalSnapshots
from producer.snapshot.signal_table import SignalTable
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
    channels = settings.signal_enabled_channels
    table = SignalTable(settings.signal_data_collection if "source" in channels else "")
    has_topic = "kafka" in channels
    if not settings.publish_tables or not (table.is_configured or has_topic):
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
    topic = _topic(settings) if has_topic else None
    return StreamFollower(snapshots, table, topic, poll_seconds)


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
