"""Watch how far the stitchers and sinks are, beside the capturing. Edge: a thread, the brokers.

By what their groups have committed in Kafka, and not by the destination's own table: so the
producer needs no access to the destination, and what is known goes with the topics that it is
about. A sink commits after its transaction; both write the id of the topic beside the offset, so
that neither an offset of a former topic nor one that somebody set by hand is taken for their word.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

from producer.errors import TopicCutShort, TopicsMadeAnew
from producer.metrics import ProducerMetrics
from producer.sink_progress import Look, Offsets, SinkProgress
from runtime.errors import Retry
from runtime.group_lag import GroupLag, PartitionLag
from runtime.kafka_client import AclMissing, Admin
from runtime.kafka_topics import topic_ids
from schemas.change_id import Lsn, format_lsn
from schemas.topics import Topics

LOOK_SECONDS = 1.0
REQUEST_SECONDS = 3.0
LEAVE_SECONDS = 5.0
STANDSTILL_SECONDS = 60.0
"""After so long without progress the log says who is waited for, and again after each."""

log = logging.getLogger(__name__)

Lags = Mapping[int, PartitionLag]


class SinkWatch:
    """Looks once a second; the rest is to be called from one other thread."""

    def __init__(
        self,
        client: Mapping[str, Any],
        topics: Topics,
        topic_ids: Mapping[str, str],
        at: Lsn,
        metrics: ProducerMetrics,
        *,
        is_waited_for: bool,
    ) -> None:
        """Begin where everything before `at` is known to be stored.

        `is_waited_for` says whether the slot waits for it, which makes a standstill worth a line.
        """
        self.acknowledged = at
        """To be moved on: before it everything is acknowledged by Kafka."""
        self._progress = SinkProgress(at)
        self._topics = topics
        self._ids = dict(topic_ids)
        self._metrics = metrics
        self._is_waited_for = is_waited_for
        self._heartbeat: tuple[Lsn, float] | None = None
        self._failure: Exception | None = None
        self._moved_at = time.monotonic()
        self._stored_before = at
        self._stopping = threading.Event()
        self._closing = ExitStack()
        self._admin = Admin(client)

        def lag(group: str, topic: str) -> GroupLag:
            return self._closing.enter_context(closing(GroupLag(client, group, topic)))

        self._stitcher = lag(topics.stitcher_group, topics.wal)
        self._sink = lag(topics.sink_group, topics.changes)
        self._thread = threading.Thread(target=self._run, name="sink-watch", daemon=True)

    def start(self) -> None:
        """Begin to look; where it is waited for, do so once before anything is sent.

        Raises TopicCutShort, AclMissing, or a Retry error of the brokers.
        """
        if self._is_waited_for:
            self._look()
        self._thread.start()

    @property
    def stored_lsn(self) -> Lsn:
        """Before it everything is stored.

        Raises TopicsMadeAnew, TopicCutShort or AclMissing once nobody can tell any more.
        """
        if self._failure is not None:
            raise self._failure
        return self._progress.stored_lsn

    def heartbeat_sent(self, lsn: Lsn) -> None:
        """Take the time of a heartbeat, which stands at `lsn`, unless one is on its way."""
        if self._heartbeat is None:
            self._heartbeat = lsn, time.monotonic()

    def close(self) -> None:
        """End the thread; nothing is looked at any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_SECONDS)
        if not self._thread.is_alive():
            self._closing.close()

    def _run(self) -> None:
        has_told_acl = False
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look()
                self._tell_standstill("")
            except TopicsMadeAnew as error:
                self._failure = error
                return
            except Retry as error:
                self._tell_standstill(f": {error}")
            except AclMissing as error:
                if self._is_waited_for:
                    self._failure = error
                    return
                if not has_told_acl:
                    log.warning("bemi_heartbeat_round_trip_seconds is not measured: %s", error)
                has_told_acl = True
            except Exception as error:
                # For the thread that waits for it; where none does, only the metric ends.
                self._failure = error
                if not self._is_waited_for:
                    log.warning("cannot tell any more how far the sinks are: %s", error)
                return

    def _look(self) -> None:
        acknowledged = self.acknowledged
        wal, changes = self._stitcher.ask(REQUEST_SECONDS), self._sink.ask(REQUEST_SECONDS)
        # Last: what was read before is of these topics if they are those of the look before.
        self._check_topics()
        ids = self._ids
        lost = self._progress.observe(
            Look(
                acknowledged,
                _done(wal, ids[self._topics.wal]),
                _ends(wal),
                _done(changes, ids.get(self._topics.changes, "")),
                _ends(changes),
            )
        )
        if lost is not None:
            raise TopicCutShort(
                f"topic {self._topics.prefix}{lost} ends before where it was: Kafka lost its end. "
                f"Everything before {format_lsn(self._progress.stored_lsn)} is stored, and the "
                "slot keeps the rest. Stop all stages, delete the topics "
                f"{self._topics.wal} and {self._topics.changes}, and start them again: what is "
                "not stored is sent again (docs/operating.md)"
            )
        stored = self._progress.stored_lsn
        if self._heartbeat is not None and stored >= self._heartbeat[0]:
            self._metrics.heartbeat_round_trip.observe(time.monotonic() - self._heartbeat[1])
            self._heartbeat = None

    def _check_topics(self) -> None:
        """Raise TopicsMadeAnew where one is not what it was; learn that of `.changes` at first."""
        names = self._topics.wal, self._topics.changes
        ids = topic_ids(self._admin, names, REQUEST_SECONDS)
        for name in names:
            if name in self._ids and ids.get(name) != self._ids[name]:
                raise TopicsMadeAnew(
                    f"topic {name} is gone or was made anew: sending again what is not stored, "
                    f"from {format_lsn(self._progress.stored_lsn)} on"
                )
        self._ids |= ids

    def _tell_standstill(self, why: str) -> None:
        stored, now = self._progress.stored_lsn, time.monotonic()
        waits_for = self._progress.waits_for
        if (waits_for is None and not why) or stored > self._stored_before:
            self._moved_at = now
        elif self._is_waited_for and now - self._moved_at >= STANDSTILL_SECONDS:
            self._moved_at = now
            log.warning(
                "the slot stands at %s until the %s goes on: nothing after it is known to be "
                "stored, and the server keeps its log%s",
                format_lsn(stored),
                waits_for or "sink",
                why,
            )
        self._stored_before = stored


def _ends(lags: Lags) -> Offsets:
    return {partition: lag.end for partition, lag in lags.items()}


def _done(lags: Lags, topic_id: str) -> Offsets:
    """Return how far the group is in the topic of that id; what it did in others is left out."""
    return {
        partition: lag.committed
        for partition, lag in lags.items()
        if lag.committed is not None and lag.is_noted(topic_id)
    }
