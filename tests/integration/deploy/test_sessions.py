"""What a test session promises: nothing fails silently, nothing is skipped in CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.paths import REPOSITORY
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.stages import plain_environ


def _session(
    folder: Path, test: str, *options: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run one test file in a session of its own, with this project's plugins and settings."""
    (folder / "test_it.py").write_text(test)
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
            *("-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(REPOSITORY)),
            *options,
            str(folder / "test_it.py"),
        ],
        cwd=REPOSITORY,
        # No daemon: what is missing here must not be found in a container.
        env=plain_environ() | {"DOCKER_HOST": "unix:///nonexistent"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


NEEDS_POSTGRES = "def test_it(database): pass\n"


def test_an_error_in_a_thread_fails_the_test(tmp_path: Path) -> None:
    test = (
        "import threading\n"
        "def test_it():\n"
        "    thread = threading.Thread(target=lambda: 1 / 0)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )

    done = _session(tmp_path, test)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "ZeroDivisionError" in done.stdout


def test_a_session_without_tests_fails(tmp_path: Path) -> None:
    assert _session(tmp_path, "").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_missing_server_skips_the_test_with_the_reason(tmp_path: Path) -> None:
    done = _session(tmp_path, NEEDS_POSTGRES, BEMI_PG_BIN=str(tmp_path))

    assert done.returncode == pytest.ExitCode.OK
    assert "1 skipped" in done.stdout
    assert "apt-get install postgresql" in done.stdout


def test_a_missing_server_fails_the_test_in_ci(tmp_path: Path) -> None:
    done = _session(tmp_path, NEEDS_POSTGRES, BEMI_PG_BIN=str(tmp_path), CI="true")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "CI is set" in done.stdout


def test_settings_of_the_shell_do_not_reach_the_tests(tmp_path: Path) -> None:
    test = (
        "import os\n"
        "def test_it():\n"
        "    assert not [name for name in os.environ if 'DB_' in name or 'BEMI_L' in name]\n"
    )
    shell = {"DB_HOST": "production", "DESTINATION_DB_HOST": "x", "BEMI_LOG_LEVEL": "DEBUG"}

    assert _session(tmp_path, test, **shell).returncode == pytest.ExitCode.OK


def test_a_given_server_is_used_and_not_stopped(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    test = (
        "def test_it(database, postgres_server):\n"
        "    with database.connect() as connection:\n"
        "        connection.execute('SELECT 1')\n"
        "    postgres_server.kill()\n"
    )

    done = _session(tmp_path, test, "--pg-dsn", postgres_server.dsn("postgres"))

    assert done.returncode == pytest.ExitCode.OK
    assert "postgresql: given, 127.0.0.1" in done.stdout
    assert "do not stop it" in done.stdout


def test_tests_are_marked_by_the_servers_they_need(tmp_path: Path) -> None:
    done = _session(
        tmp_path, NEEDS_POSTGRES + "def test_other(): pass\n", "-m", "postgres", "--collect-only"
    )

    assert "1/2 tests collected" in done.stdout


def test_the_log_of_a_stage_is_shown_with_a_failed_test(tmp_path: Path) -> None:
    test = (
        "def test_it(start_stage):\n"
        "    stage = start_stage('talker', ['sh', '-c', 'echo last words; exit 7'], {})\n"
        "    assert stage.wait(10) == 0\n"
    )

    done = _session(tmp_path, test)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "end of the log of talker" in done.stdout
    assert "last words" in done.stdout
