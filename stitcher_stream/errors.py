"""What can go wrong in the stitcher, by what has to be done about it.

StageError
├── Retry
│   ├── WalTopicMissing    the producer has not made `.wal` yet
│   ├── ProducerBroken     no record can be stored until the process is started again
│   └── WalMadeAnew        `.wal` is another topic than the one that was being read
├── Stop
│   ├── OutputRefused      the brokers will not take a record of `.changes`
│   ├── TransactionsTorn   a connector's transactions are not kept in one partition each
│   └── RecordsLost        the brokers removed records that were never stitched
└── DeadLetter
    ├── UnreadableRecord   not known what it was, so the context in force ends with it
    ├── MalformedChange    a change that cannot be told; the context in force stays
    └── HookFailed         the operator's hook could not decide about a change
"""

from __future__ import annotations

from runtime.errors import DeadLetter, Retry, Stop


class WalTopicMissing(Retry):
    """The topic `.wal` does not exist yet; the producer makes it when it starts."""


class ProducerBroken(Retry):
    """The Kafka producer cannot go on; a new process with a new one can."""


class WalMadeAnew(Retry):
    """The topic `.wal` was made anew while it was read; a new process begins at its beginning."""


class OutputRefused(Stop):
    """The brokers refused a stitched change for good."""


class TransactionsTorn(Stop):
    """A Debezium connector does not keep the transactions of `.wal` in one partition each."""

    @classmethod
    def found(
        cls, commit_ms: int, expected: int, partition: int, partitions: int
    ) -> TransactionsTorn:
        """Return the error for a record whose transaction belongs to another partition."""
        return cls(
            f"a record in partition {partition} is of a transaction committed at {commit_ms} ms, "
            f"which by that time belongs to {expected} of the {partitions} partitions; its context "
            "may be there. Let the connector route by commit time and with this number of "
            "partitions, as deploy/debezium/connector.properties does (PartitionRouting on "
            "source.txId leaves logical messages where their key puts them): stop it, delete the "
            "topic once what can be stitched is, and start it again"
        )


class RecordsLost(Stop):
    """Kafka has removed records that were never stitched."""

    @classmethod
    def between(
        cls, topic: str, partition: int, wanted: int, first: int, group: str
    ) -> RecordsLost:
        """Return the error for the records from `wanted` on, of which `first` is the first left."""
        return cls(
            f"{topic} [{partition}] was stitched up to offset {wanted}, but begins at {first} now: "
            f"{first - wanted} records were removed by the topic's retention before they were "
            "stitched. To go on without them, move the group: kafka-consumer-groups.sh --group "
            f"{group} --topic {topic}:{partition} --reset-offsets --to-offset {first} --execute; "
            "then start the stitcher again, with a longer retention.ms on the topic"
        )


class UnreadableRecord(DeadLetter):
    """A record of `.wal` is not one of the three forms it may have.

    It may have been a context, so what follows in its transaction has none.
    """


class MalformedChange(DeadLetter):
    """A change on `.wal` lacks what identifies or describes it."""


class HookFailed(DeadLetter):
    """The change hook raised an error or returned what it may not."""
