"""The stitcher's command: `bemi-stitcher [run|restitch]`; `run` is what `faust worker` starts.

    topic `.wal` -> faust_driver -> app -> stitch -> change_records -> publisher -> topic `.changes`

Exit codes: runtime.service.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import click

from runtime.errors import Stop
from runtime.logs import configure_logs
from runtime.service import EXIT_DEFECT, EXIT_PERSON_MUST_ACT, exit_on_stop
from stitcher_stream.restitch_command import restitch_command
from stitcher_stream.settings import StitcherSettings

log = logging.getLogger("stitcher_stream")

# What they say at INFO is about themselves.
_LIBRARIES = ("aiokafka", "faust", "mode")


@click.group(name="bemi-stitcher", invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Put the application's context on each change: topic .wal to topic .changes.

    `run` where no command is given. All settings come from the environment; docs/settings.md
    lists them.
    """
    if context.invoked_subcommand is None:
        context.invoke(run_command)


@main.command(name="run")
def run_command() -> None:
    """Stitch until told to stop."""
    with exit_on_stop():
        settings = StitcherSettings.from_environ(os.environ)
    configure_logs(settings.log_level, settings.log_format, "stitcher")
    if settings.log_level != "DEBUG":
        for library in _LIBRARIES:
            logging.getLogger(library).setLevel(logging.WARNING)
    sys.exit(work(settings))


main.add_command(restitch_command)


def work(settings: StitcherSettings) -> int:
    """Run the worker until a signal or an error ends it, and return the exit code."""
    # Faust takes a second to import; --help and a wrong setting need not wait for it.
    from stitcher_stream.app import build_app

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with exit_on_stop():
        app = build_app(settings)
    worker = app.Worker(
        loop=loop, quiet=True, override_logging=False, redirect_stdouts=False, daemon=True
    )
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        reason = app.failure or worker.crash_reason
        if isinstance(reason, Stop):
            log.error("stopped, a person must act: %s", reason)
            return EXIT_PERSON_MUST_ACT
        if reason is not None or ended.code:
            log.error("stopped by a defect: %r", reason)
            return EXIT_DEFECT
    return 0


if __name__ == "__main__":
    main()
