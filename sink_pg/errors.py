"""What can go wrong in the sink, by what has to be done about it.

Retry
├── DatabaseUnavailable     the destination does not answer, or broke off
└── ProgressMoved           another sink stored these records first
Stop
├── DatabaseRefused         wrong password, role, database or missing rights
├── DatabaseUnusable        PostgreSQL refuses what the sink cannot work without
├── ForeignChangesTable     a table `changes` stands there that is not the sink's
├── NotAdoptable            a foreign `changes` has something that the sink's cannot have
├── NewerTables             a newer sink made the tables
├── TooManyRowsToMove       a new partition's rows stand in the default one, too many to move
├── NoRetention             nobody has said how old changes may get
├── NoSuchDeadLetter        an id was given that none has
├── RecordsLost             Kafka no longer has records that were never stored
├── OffsetBeyondTopic       the topic ends before what was stored of it
├── TopicMadeAnew           the topic is not the one whose records were stored
├── CannotCompare           verify has nothing to compare, or was stopped
├── UnusableSelection       what is to be erased was not said, or would be too much
└── SealedRows              what is sealed cannot be replaced
DeadLetter
└── UnreadableChange        a record is not a stitched change, or cannot be stored
StageError
└── KafkaClientFailed       the client cannot be used any more; a new process can
"""

from __future__ import annotations

from collections.abc import Mapping

from runtime.errors import DeadLetter, Retry, StageError, Stop
from sink_pg.watermark import Watermark


class DatabaseUnavailable(Retry):
    """The destination database does not answer."""


class ProgressMoved(Retry):
    """Another sink has stored records of these partitions; going on behind them."""


class DatabaseRefused(Stop):
    """The destination database does not let the sink in; check DESTINATION_DB_* or DB_*."""


class DatabaseUnusable(Stop):
    """The destination database refuses a statement that the sink cannot do without."""


class ForeignChangesTable(Stop):
    """The destination has a table public.changes that this sink did not make.

    Nothing was written to it. If it is that of Bemi's worker, stop the worker and run
    `bemi-sink migrate --adopt`: the table becomes the first partition of the new one, with
    every row. Else rename or drop it, or name another database by DESTINATION_DB_NAME, then
    start the sink again.
    """


class NotAdoptable(Stop):
    """The table public.changes cannot become a partition of the sink's as it is."""


class NewerTables(Stop):
    """The destination's tables were made by a newer version; install that version."""


class TooManyRowsToMove(Stop):
    """The default partition holds more rows of a new partition than a running sink may move."""


class NoRetention(Stop):
    """How long changes are kept is not set; set BEMI_RETENTION_DAYS."""


class NoSuchDeadLetter(Stop):
    """No dead letter has that id; `bemi-sink dead-letters list` shows those there are."""


class RecordsLost(Stop):
    """Kafka has removed records that were never stored."""


class OffsetBeyondTopic(Stop):
    """The topic ends before the place up to which it was stored."""


class TopicMadeAnew(Stop):
    """The topic was deleted and made again since its records were stored."""

    @classmethod
    def of(cls, topic: str, former: Mapping[int, Watermark], topic_id: str) -> TopicMadeAnew:
        """Return the error for the partitions whose watermarks are of another topic."""
        ids = ", ".join(sorted({str(mark.topic_id) for mark in former.values()}))
        return cls(
            f"topic {topic} was made anew: what is stored of it is of the topic with the id {ids},"
            f" and this one has {topic_id}. So Kafka lost its data, or somebody deleted the topic,"
            " and what Kafka had acknowledged and was not stored may be missing. To go on with what"
            " this topic has, which stores nothing twice, delete the rows of"
            f" public.bemi_sink_progress where topic is '{topic}'; then start the sink again. With"
            " BEMI_CONFIRM_AFTER=sink, for the producer as well, nothing is missing and the sink"
            " goes on by itself (docs/deploying.md)"
        )


class CannotCompare(Stop):
    """Nothing can be said about what is stored."""


class UnusableSelection(Stop):
    """It was not said whose changes are to be erased."""


class SealedRows(Stop):
    """The stored changes are sealed (BEMI_SINK_SEALS), so they cannot be replaced.

    Replay into another table by --into, and let readers choose between the two.
    """


class UnreadableChange(DeadLetter):
    """The record is not a stitched change."""


class KafkaClientFailed(StageError):
    """The Kafka client failed for good; the sink has to be started anew."""
