"""Environments of other versions: each is made once, under .bemi, and used again.

What is tested goes into them anew each time, as the wheel that a site would install.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".bemi" / "venvs"


def interpreters() -> dict[tuple[int, int], str]:
    """Return an interpreter for each version of Python from 3.10 on that this machine has."""
    found = {sys.version_info[:2]: sys.executable}
    for program in _programs():
        try:
            version = subprocess.run(
                [program, "-c", "import sys, ensurepip, venv; print(*sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
        except (OSError, subprocess.CalledProcessError):
            continue
        found.setdefault((int(version[0]), int(version[1])), program)
    return found


def _programs() -> Iterator[str]:
    for minor in range(10, 16):
        if program := shutil.which(f"python3.{minor}"):
            yield program
        root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
        yield from map(str, root.glob(f"versions/3.{minor}.*/bin/python"))


def made_venv(python: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these installed, and what they bring."""
    name = hashlib.sha256(json.dumps([python, *requirements]).encode()).hexdigest()[:16]
    venv = FOLDER / name
    if not venv.exists():
        # Under another name until it is whole: another run, or an end in the middle, sees none.
        unfinished = FOLDER / f"{name}-{uuid.uuid4().hex}"
        unfinished.mkdir(parents=True)
        try:
            _run([python, "-m", "venv", "--without-pip", str(unfinished)])
            pip(unfinished / "bin" / "python", "install", *requirements)
            (unfinished / "requirements.txt").write_text("\n".join(requirements))
            unfinished.rename(venv)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return venv / "bin" / "python"


def installed_names(python: Path) -> set[str]:
    """Return the names of all distributions in an environment."""
    program = (
        "from importlib.metadata import distributions as found\n"
        "print(*(distribution.metadata['Name'].lower() for distribution in found()))"
    )
    return set(_run([str(python), "-I", "-c", program]).split())


def installed_requirements(python: Path) -> list[str]:
    """Return what the package asks for."""
    program = "from importlib.metadata import requires; print(*requires('django-bemi'))"
    return _run([str(python), "-I", "-c", program]).split()


def pip(python: Path, *arguments: str) -> str:
    """Run this environment's pip on another one, and return what it wrote."""
    quiet = ["--disable-pip-version-check", "--quiet", "--no-input"]
    return _run([sys.executable, "-m", "pip", "--python", str(python), *quiet, *arguments])


def run_program(
    python: Path, arguments: Sequence[str], environ: Mapping[str, str], *, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment, which sees nothing of this one."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "DJANGO", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        [str(python), *arguments],
        env={**clean, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
