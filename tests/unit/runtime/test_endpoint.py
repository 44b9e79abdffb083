"""The HTTP endpoint of a stage, asked as a monitoring system asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from deploy.local.ports import free_port
from runtime.endpoint import AddressInUse, serving
from runtime.health import Health
from runtime.metrics import StageMetrics

SECONDS = 10


@pytest.fixture
def metrics() -> StageMetrics:
    return StageMetrics("producer")


@pytest.fixture
def health(metrics: StageMetrics) -> Health:
    made = Health(10.0)
    metrics.show(made)
    return made


@pytest.fixture
def address(metrics: StageMetrics, health: Health) -> Iterator[str]:
    with serving("127.0.0.1:0", metrics.registry, health) as port:
        yield f"http://127.0.0.1:{port}"


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=SECONDS)


def test_metrics_are_served_in_prometheus_form(address: str, metrics: StageMetrics) -> None:
    metrics.counter("bemi_test_things", "Things.").inc(3)
    answer = get(f"{address}/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    assert "bemi_test_things_total 3.0" in lines
    assert "bemi_ready 0.0" in lines
    assert any(line.startswith('bemi_build_info{stage="producer"') for line in lines)
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_a_stage_that_starts_is_alive_and_not_ready(address: str) -> None:
    assert get(f"{address}/livez").json() == {"ok": True, "problems": {}}
    answer = get(f"{address}/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "problems": {"stage": "starting"}}


def test_a_stage_that_works_is_ready(address: str, health: Health) -> None:
    health.ready()
    answer = get(f"{address}/readyz")
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert "bemi_ready 1.0" in get(f"{address}/metrics").text


def test_a_stage_that_hangs_is_not_alive(metrics: StageMetrics) -> None:
    hanging = Health(-1.0)
    with serving("127.0.0.1:0", metrics.registry, hanging) as port:
        answer = get(f"http://127.0.0.1:{port}/livez")
    assert answer.status_code == 503
    assert "has not turned" in answer.json()["problems"]["progress"]


def test_any_other_path_names_those_that_are_there(address: str) -> None:
    answer = get(f"{address}/")
    assert (answer.status_code, answer.text) == (404, "/metrics, /livez, /readyz\n")


def test_nothing_is_served_without_an_address(metrics: StageMetrics, health: Health) -> None:
    with serving("", metrics.registry, health) as port:
        assert port is None


def test_an_address_that_is_taken_needs_a_person(metrics: StageMetrics, health: Health) -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        serving(address, metrics.registry, health),
        pytest.raises(AddressInUse, match="BEMI_METRICS_ADDRESS"),
        serving(address, metrics.registry, health),
    ):
        pass


def test_the_port_is_free_again_afterwards(metrics: StageMetrics, health: Health) -> None:
    address = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with serving(address, metrics.registry, health) as port:
            assert get(f"http://127.0.0.1:{port}/livez").ok
