"""Put the doctor's parts together: look, judge, mend, tell. Edge."""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.resources import files

import click
import confluent_kafka
from rich.console import Console

from producer.assembly import keyed_hash_of, topics_of
from producer.configuration.column_rules import ColumnRules
from producer.configuration.table_filters import TableFilters
from producer.connections import kafka_client
from producer.doctor.findings import Finding, Severity, worst
from producer.doctor.fixes import apply_fixes
from producer.doctor.hiding_checks import check_hiding
from producer.doctor.kafka_checks import check_kafka
from producer.doctor.kafka_facts import read_kafka
from producer.doctor.report import as_json, print_report
from producer.doctor.server_checks import check_source
from producer.doctor.source_facts import read_source
from producer.doctor.table_checks import check_tables
from producer.settings import ProducerSettings
from runtime.errors import StageError
from runtime.kafka_client import AclMissing

WIDTH_OF_A_FILE = 120


def examine(settings: ProducerSettings, *, is_mending: bool, is_json: bool) -> Severity:
    """Print what is found, after mending what may be; return the worst of it."""
    findings = look(settings)
    if is_mending:
        outcomes = list(apply_fixes(findings, settings))
        for done, problem in outcomes:
            click.echo(f"{done}: {f'not done: {problem}' if problem else 'done'}", err=is_json)
        if outcomes:
            findings = look(settings)
    if is_json:
        click.echo(as_json(findings, _versions()))
    else:
        width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
        console = Console(markup=False, highlight=False, width=width)
        print_report(console, findings)
        console.print(", ".join(f"{name} {text}" for name, text in _versions().items()))
    return worst(findings)


def look(settings: ProducerSettings) -> list[Finding]:
    """Return what is found; a part that does not answer is a finding itself."""
    findings: list[Finding] = []
    try:
        source = read_source(settings)
        findings += check_source(source)
        findings += check_tables(source)
        findings += check_hiding(
            source.columns,
            TableFilters.of(settings),
            ColumnRules(settings.column_rules),
            keyed_hash_of(settings),
        )
    except StageError as error:
        findings.append(
            Finding("server", Severity.ERROR, _line(error), "Check DB_HOST, DB_USER and the rest.")
        )
    topics = topics_of(settings)
    try:
        facts = read_kafka(kafka_client(settings), topics)
        findings += check_kafka(facts, topics, settings.kafka_max_message_bytes)
    except StageError as error:
        is_refused = isinstance(error, AclMissing)
        advice = "Add the ACL." if is_refused else "Check BEMI_KAFKA_BOOTSTRAP_SERVERS."
        findings.append(Finding("kafka", Severity.ERROR, _line(error), advice))
    return findings


def roles_script(publication: str) -> str:
    """Return the SQL that makes the roles; run by a person, in psql."""
    text = files("producer").joinpath("doctor/roles.sql").read_text()
    literal, quoted = publication.replace("'", "''"), publication.replace('"', '""')
    return text.replace("{publication}", literal).replace("{publication_quoted}", quoted)


def _versions() -> dict[str, str]:
    return {
        "bemi-pipeline": version("bemi-pipeline"),
        "Python": ".".join(map(str, sys.version_info[:3])),
        "librdkafka": confluent_kafka.libversion()[0],
    }


def _line(error: StageError) -> str:
    return " ".join(str(error).split())
