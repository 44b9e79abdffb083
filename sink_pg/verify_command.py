"""The command `bemi-sink verify`: its options, its report, its exit codes. Edge: click."""

from __future__ import annotations

import os
import sys
from threading import Event

import click

from runtime.errors import Retry
from runtime.logs import configure_logs
from runtime.service import exit_on_stop, run
from runtime.topic_ranges import UnusablePlace, parse_moment
from schemas.change_id import parse_lsn
from sink_pg.errors import CannotCompare
from sink_pg.settings import SinkSettings
from sink_pg.verify import Verified, VerifyRequest, verify
from sink_pg.verify_seals import MOST_BREAKS, SealsVerified, verify_seals

EXIT_GAP = 1
EXIT_NOT_COMPARED = 2


@click.command(name="verify")
@click.option("--from-time", metavar="TIME", help="Only transactions committed from then on.")
@click.option("--to", "--to-time", "to_time", metavar="TIME", help="Only those before then.")
@click.option("--from-lsn", metavar="LSN", help="Only commit LSNs from this one on: 16/B374D848.")
@click.option("--to-lsn", metavar="LSN", help="Only commit LSNs before this one.")
@click.option(
    "--expect-ignored",
    multiple=True,
    metavar="SCHEMA.TABLE",
    help="Changes of these tables may be missing; * and ? stand for any text. For what rules left"
    " out before the stitcher told it in .left-out; they are only looked at for too many rows.",
)
@click.option(
    "--seals",
    "is_for_seals",
    is_flag=True,
    help="Check the hash chain (BEMI_SINK_SEALS) instead, from the table alone.",
)
@click.option(
    "--expect",
    metavar="HASH",
    help="With --seals: the hash of a seal that was noted elsewhere; the chain must have it.",
)
def verify_command(
    from_time: str | None,
    to_time: str | None,
    from_lsn: str | None,
    to_lsn: str | None,
    expect_ignored: tuple[str, ...],
    is_for_seals: bool,
    expect: str | None,
) -> None:
    """Prove that every change the source committed is stored, and name those that are not.

    Compares the transactions in the topic .wal with the table `changes`, up to where the
    stitcher and the sink are done. Exits with 0 when nothing is missing, 1 when something is,
    2 when it could not compare.
    """
    with exit_on_stop():
        settings = SinkSettings.from_environ(os.environ)
        request = VerifyRequest(
            None if from_time is None else parse_moment(from_time),
            None if to_time is None else parse_moment(to_time),
            None if from_lsn is None else _lsn(from_lsn),
            None if to_lsn is None else _lsn(to_lsn),
            expect_ignored,
        )
    configure_logs(settings.log_level, settings.log_format, "sink")
    reports: list[int] = []

    def work(stopping: Event) -> None:
        try:
            if is_for_seals:
                reports.append(_report_seals(verify_seals(settings, expect, stopping)))
            else:
                reports.append(_report(verify(settings, request, stopping)))
        except Retry as error:
            raise CannotCompare(f"could not compare: {error}; run it again") from error

    code = run(work)
    sys.exit(EXIT_NOT_COMPARED if code else reports[0])


def _report(verified: Verified) -> int:
    for found in verified.findings:
        click.echo(f"gap: {found}")
    if verified.more_findings:
        click.echo(f"and {verified.more_findings} more")
    found_count = len(verified.findings) + verified.more_findings
    notes = [f"{verified.transactions} transactions with {verified.changes} changes compared"]
    if verified.too_old:
        notes.append(f"{verified.too_old} older than BEMI_RETENTION_DAYS left out")
    if verified.left_out:
        notes.append(f"{verified.left_out} changes left out by the stitcher's rules")
    if verified.ignored:
        notes.append(f"{verified.ignored} changes left out as expected")
    notes.append(f"{found_count} gaps" if found_count else "complete")
    click.echo(", ".join(notes))
    return EXIT_GAP if found_count else 0


def _report_seals(verified: SealsVerified) -> int:
    for each in verified.breaks[:MOST_BREAKS]:
        click.echo(f"break: {each}")
    if len(verified.breaks) > MOST_BREAKS:
        click.echo(f"and {len(verified.breaks) - MOST_BREAKS} more")
    notes = [f"{verified.seals} seals over {verified.rows} rows checked"]
    if verified.removed:
        notes.append(f"{verified.removed} of them over rows that retention has removed")
    if verified.erased:
        notes.append(
            f"{verified.erased} rows of which values were erased by {verified.erasures} erasures,"
            " `bemi-sink erasures` says why"
        )
    notes.append(f"{len(verified.breaks)} breaks" if verified.breaks else "unbroken")
    click.echo(f"{', '.join(notes)}; the last hash is {verified.last_hash}")
    return EXIT_GAP if verified.breaks else 0


def _lsn(text: str) -> int:
    try:
        return parse_lsn(text)
    except ValueError:
        raise UnusablePlace(f"{text!r} is not an LSN such as 16/B374D848") from None
