"""Run the example site's commands: `migrate`, `runserver` and Django's others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command that the command line names."""
    # The site is the package `example`, wherever the command is run from; with its own
    # folder on the path its modules could be imported a second time under other names.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(entry for entry in sys.path if Path(entry or ".") != here)]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.todo_site.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
