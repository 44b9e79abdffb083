"""The command `bemi-producer doctor`. Edge: click."""

from __future__ import annotations

import sys

import click

from producer.settings import ProducerSettings


@click.command(name="doctor")
@click.option("--fix", is_flag=True, help="Do what is safe of what is advised; says what it did.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
@click.option("--sql", "is_sql", is_flag=True, help="Print the SQL of least-privilege roles.")
@click.pass_obj
def doctor_command(settings: ProducerSettings, fix: bool, is_json: bool, is_sql: bool) -> None:
    """Look at database and brokers, and say what is wrong and what to do.

    Exits with 0 when all is well, 1 with warnings, 2 with errors. --fix gives tables whose UPDATE
    and DELETE fail for the application REPLICA IDENTITY FULL, and lets topics keep what they
    would delete unread; it changes nothing else.
    """
    # Here, because what it needs is a tenth of the producer's start.
    from producer.doctor.examination import examine, roles_script

    if is_sql:
        click.echo(roles_script(settings.publication_name))
        return
    sys.exit(examine(settings, is_mending=fix, is_json=is_json))
