"""Print stitched changes straight from the topic `.changes`, as an example of a consumer.

    python -m example.print_changes BROKERS PREFIX [--group NAME] [--once]

A consumer may get a change more than once (the stages repeat after a crash) and never misses one.
What it does with a change has to be safe to repeat: this one keeps the ids it has seen, a real one
would write by id. Where it stands is committed only after the work is done.
"""

from __future__ import annotations

import json
from typing import Any

import click
from confluent_kafka import Consumer, KafkaError, KafkaException

REMEMBERED = 100_000


@click.command()
@click.argument("brokers")
@click.argument("prefix")
@click.option("--group", default="print-changes", show_default=True, help="The consumer group.")
@click.option("--once", is_flag=True, help="End where the topic ends now.")
def main(brokers: str, prefix: str, group: str, once: bool) -> None:
    """Print each change of the topic PREFIX.changes: who did what, and what it changed."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": once,
        }
    )
    seen: dict[str, None] = {}
    ended: set[int] = set()
    consumer.subscribe([f"{prefix}.changes"])
    try:
        while not (ended and len(ended) == len(consumer.assignment())):
            messages: list[Any] = consumer.consume(500, 1.0)
            for message in messages:
                error = message.error()
                if error is None:
                    _print(json.loads(message.value()), seen)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise KafkaException(error)
            if any(message.error() is None for message in messages):
                consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def _print(change: dict[str, Any], seen: dict[str, None]) -> None:
    if change["id"] in seen:
        return
    seen[change["id"]] = None
    if len(seen) > REMEMBERED:
        del seen[next(iter(seen))]
    click.echo(described(change))


def described(change: dict[str, Any]) -> str:
    """Return a line about a change: time, who, what, which columns from what to what."""
    before, after = change["before"], change["after"]
    differences = ", ".join(
        f"{name}: {before.get(name)!r} -> {after.get(name)!r}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )
    who = change["context"].get("user_id", "somebody")
    return (
        f"{change['committed_at']} {who} {change['operation']}"
        f" {change['schema']}.{change['table']} {change['primary_key']}: {differences}"
    )


if __name__ == "__main__":
    main()
