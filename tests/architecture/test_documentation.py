"""The pages that are made from code say what the code says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.settings_page import PAGE, STAGES, render
from producer.__main__ import main as producer
from sink_pg.__main__ import main as sink
from stitcher_stream.__main__ import main as stitcher

PROGRAMS: dict[str, click.Command] = {
    "bemi-producer": producer,
    "bemi-sink": sink,
    "bemi-stitcher": stitcher,
}
DOCS = PAGE.parent
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def commands() -> Iterator[tuple[str, str]]:
    """Return each line of a block that calls one of our programs, and the page it is on."""
    for page in sorted([*DOCS.glob("*.md"), DOCS.parent / "README.md"]):
        for line in page.read_text().splitlines():
            if line.startswith("    bemi-"):
                yield page.name, line.strip()


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_a_command_on_a_page_is_one_that_there_is(page: str, line: str) -> None:
    name, *words = shlex.split(line, comments=True)
    command = PROGRAMS[name]
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            # Its value may be a file that only the reader has.
            assert any(words[0] in option.opts for option in command.params)
            del words[:2]
            continue
        command = command.commands[words.pop(0)]
    # Raises what the program itself would say.
    command.make_context(name, words)


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path) if path else page
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == render(), "run `python -m docs.settings_page`"


def test_every_setting_has_a_description() -> None:
    for settings in STAGES.values():
        for name, field in settings.model_fields.items():
            assert field.description, name
