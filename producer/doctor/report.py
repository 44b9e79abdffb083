"""Show findings: on one screen for people, as JSON for programs. Edge: rich."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from producer.doctor.findings import Finding, Severity, worst

_MARKS = {
    Severity.OK: ("✓", "green"),
    Severity.WARNING: ("!", "yellow"),
    Severity.ERROR: ("✗", "bold red"),
}


def print_report(console: Console, findings: Sequence[Finding]) -> None:
    """Print what is wrong with what to do, the worst first; what is well is named below."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    wrong = [finding for finding in findings if finding.severity is not Severity.OK]
    for finding in sorted(wrong, key=lambda each: -each.severity):
        mark, style = _MARKS[finding.severity]
        text = Text(finding.summary)
        if finding.advice:
            text.append(f"\n{finding.advice}", style="dim")
        for statement in finding.sql[:_MOST_STATEMENTS]:
            text.append(f"\n  {statement}", style="cyan")
        if len(finding.sql) > _MOST_STATEMENTS:
            text.append(f"\n  -- and {len(finding.sql) - _MOST_STATEMENTS} more, see --json")
        table.add_row(Text(mark, style=style), Text(finding.area, style="dim"), text)
    for finding in findings:
        if finding.severity is Severity.OK:
            mark, style = _MARKS[finding.severity]
            table.add_row(
                Text(mark, style=style), Text(finding.area, style="dim"), Text(finding.summary)
            )
    console.print(table)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(wrong) - errors
    counted = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    console.print(Text(f"\n{counted}", style="bold"))
    if any(finding.fixes for finding in findings):
        console.print(
            Text("`bemi-producer doctor --fix` does: ", style="dim").append(
                "; ".join(str(fix) for finding in findings for fix in finding.fixes)
            )
        )


_MOST_STATEMENTS = 3


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_json(findings: Sequence[Finding], versions: dict[str, str]) -> str:
    """Return the findings as one JSON object."""
    return json.dumps(
        {
            "severity": worst(findings).name.lower(),
            "versions": versions,
            "findings": [
                {
                    **{k: v for k, v in asdict(finding).items() if k != "fixes"},
                    "severity": finding.severity.name.lower(),
                    "fixes": [str(fix) for fix in finding.fixes],
                }
                for finding in findings
            ],
        },
        indent=2,
    )
