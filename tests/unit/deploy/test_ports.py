"""Which port a local server gets."""

from __future__ import annotations

import pytest

from deploy.local import ports
from deploy.local.ports import FIRST_PORT, LAST_PORT, NoFreePort, choose_port, free_port


def test_the_port_of_the_last_run_comes_before_the_usual_one() -> None:
    assert choose_port(5432, 25_000, is_free=lambda _port: True) == 25_000


def test_the_usual_port_is_taken_when_the_kept_one_is_in_use() -> None:
    assert choose_port(5432, 25_000, is_free=lambda port: port == 5432) == 5432


def test_the_usual_port_is_taken_at_the_first_run() -> None:
    assert choose_port(5432, is_free=lambda _port: True) == 5432


def test_another_port_is_taken_when_the_usual_one_is_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port: True)

    port = choose_port(5432, 5432, is_free=lambda _port: False)

    assert FIRST_PORT <= port <= LAST_PORT


def test_ports_given_to_outgoing_connections_are_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port: True)

    assert {free_port() < 32_768 for _ in range(100)} == {True}


def test_no_free_port_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port: False)

    with pytest.raises(NoFreePort, match="end some of what listens"):
        free_port()
