"""What a person at the terminal, or in a log file, gets to read."""

from __future__ import annotations

import io

import pytest

from deploy.local.report import Report


@pytest.fixture
def written() -> io.StringIO:
    """The file that the report writes to."""
    return io.StringIO()


@pytest.fixture
def report(written: io.StringIO) -> Report:
    """A report into a file, on a narrow page."""
    return Report(written, width=40)


def test_a_step_is_told_when_it_begins_and_when_it_is_done(
    report: Report, written: io.StringIO
) -> None:
    with report.step("Kafka on port 9092"):
        assert "Kafka on port 9092 ..." in written.getvalue()

    assert "✓ Kafka on port 9092 (0." in written.getvalue()


def test_a_step_that_fails_is_not_told_as_done(report: Report, written: io.StringIO) -> None:
    with pytest.raises(ZeroDivisionError), report.step("sink"):
        raise ZeroDivisionError

    assert "✓" not in written.getvalue()


def test_an_address_is_one_line_however_narrow_the_terminal(
    report: Report, written: io.StringIO
) -> None:
    address = "psql 'postgresql://bemi:" + "x" * 80 + "@127.0.0.1:5432/bemi'"

    report.addresses([("psql", address), ("site", "http://127.0.0.1:8000/")])

    assert f"  psql  {address}" in written.getvalue().splitlines()


def test_logs_are_shown_as_they_are(report: Report, written: io.StringIO) -> None:
    report.log("sink", "INFO [bold]not markup[/bold]\nsecond")

    assert written.getvalue().splitlines() == [
        "  sink | INFO [bold]not markup[/bold]",
        "  sink | second",
    ]


def test_a_terminal_that_is_gone_is_no_error() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with Report(Gone()).step("stopping"):
        pass
