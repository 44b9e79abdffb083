"""docs/django.md says what is so: its blocks are run in their order, on a real server.

A line `expression  # -> value` is an assertion. Commands run in this process; between two blocks
the pipeline's own parts bring the trail up to date.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from contextvars import Context
from typing import Any

import psycopg
from django.core.management import call_command

from deploy.local.paths import REPOSITORY
from tests.fixtures.postgres import Database
from tests.integration.django_bemi.recorder import Recorder

PAGE = REPOSITORY / "docs" / "django.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTATION = re.compile(r"^( *)(\S.*?)  # -> (.+)$", re.MULTILINE)
MANAGE = "python manage.py "


class Queue:
    """As much of a job queue as the page uses: a job has no context of its own."""

    def enqueue(self, job: Callable[..., object], *arguments: object) -> None:
        """Do it at once."""
        Context().run(job, *arguments)


def blocks() -> list[tuple[int, str, str]]:
    """Return line, language and text of each block."""
    page = PAGE.read_text()
    return [
        (page.count("\n", 0, found.start(2)) + 1, found.group(1), found.group(2))
        for found in BLOCK.finditer(page)
    ]


def run(line: int, language: str, text: str, names: dict[str, Any], admin: Any) -> None:
    if language == "python":
        checked = EXPECTATION.sub(r"\1assert (\2) == (\3), (\2)", text)
        # With as many lines before it as on the page, so that a failure names its line.
        exec(compile("\n" * (line - 1) + checked, str(PAGE), "exec"), names)  # noqa: S102
    elif language == "sql":
        admin.execute(text)
    elif language == "sh":
        for command in text.splitlines():
            assert command.startswith(MANAGE), command
            call_command(*shlex.split(command.removeprefix(MANAGE)))
    else:
        raise AssertionError(f"a block in {language} that nobody runs, line {line}")


def test_every_block_of_the_page_does_what_the_page_says(
    empty_site: Database, admin: psycopg.Connection[Any]
) -> None:
    call_command("migrate", verbosity=0)
    recorder = Recorder(empty_site, admin)
    names: dict[str, Any] = {"queue": Queue(), "__name__": "docs_django"}
    for line, language, text in blocks():
        recorder.record()
        run(line, language, text, names, admin)

    assert PAGE.read_text().count("# ->") == 1 + sum(
        len(EXPECTATION.findall(text)) for _, _, text in blocks()
    ), "a line that says what it gives is not taken for one"
    assert names["BEMI_CONTEXT_FUNCTION"] == "example.todo.bemi_context.context_of_request"
    tests = names["TaskTest"]("test_a_new_task_is_open")
    tests.test_a_new_task_is_open()
