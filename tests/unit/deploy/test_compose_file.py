"""What deploy/compose.yml promises whoever runs it, read off the file itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from producer.settings import ProducerSettings
from runtime.settings import StageSettings
from sink_pg.settings import SinkSettings
from stitcher_stream.settings import StitcherSettings

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: each for name, each in SERVICES.items() if each["image"].startswith("bemi/")}
ONCE = {"secrets", "init"}
SETTINGS: dict[str, list[type[StageSettings]]] = {
    "producer": [ProducerSettings],
    "stitcher": [StitcherSettings],
    "sink": [SinkSettings],
    "init": [ProducerSettings, StitcherSettings, SinkSettings],
}
DOCKERFILE = (DEPLOY / "images" / "Dockerfile").read_text()


def known(settings: list[type[StageSettings]]) -> set[str]:
    """Return every variable that one of the stages reads."""
    names = {
        name
        for each in settings
        for choices in each.environment_names().values()
        for name in choices
    }
    return names | {f"{name}_FILE" for name in names}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stage_is_told_only_what_it_reads(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= known(SETTINGS[name])


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_published_is_on_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", OWN)
def test_our_containers_have_no_rights(name: str) -> None:
    service = OWN[name]
    assert not service["user"].startswith("0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_server_of_others_has_no_right_it_does_not_need(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert "privileged" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_whole_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?([.-]\w+)*", tag), SERVICES[name]["image"]


@pytest.mark.parametrize("name", OWN)
def test_each_of_our_images_is_a_target_of_the_one_dockerfile(name: str) -> None:
    build = OWN[name]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "images/Dockerfile")
    assert f" AS {build['target']}\n" in DOCKERFILE
    assert OWN[name]["image"].startswith(f"bemi/{build['target']}:")


def test_the_images_the_dockerfile_begins_with_are_those_of_the_stack() -> None:
    kafka = re.search(r"^ARG KAFKA_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)
    assert kafka is not None
    assert kafka[1] == SERVICES["kafka"]["image"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_whatever_goes_on_is_asked_whether_it_is_ready(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_whoever_needs_another_waits_until_it_is_ready_or_done(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ONCE else "service_healthy"
        assert how == {"condition": wanted}


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_stands_in_the_file(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if "PASSWORD" in variable:
            assert variable.endswith("_FILE")
            assert str(value).startswith("/run/secrets/")


@pytest.mark.parametrize("name", ["producer", "stitcher", "sink"])
def test_a_stage_that_is_scaled_has_nothing_there_is_only_one_of(name: str) -> None:
    assert not {"container_name", "ports", "hostname"} & set(SERVICES[name])


def test_whoever_makes_or_writes_wal_is_told_the_same_number_of_partitions() -> None:
    name = "BEMI_PRODUCER_WAL_PARTITIONS"
    told = [SERVICES[each]["environment"][name] for each in ("init", "producer", "debezium")]
    assert set(told) == {"${WAL_PARTITIONS:-4}"}
    for script in (DEPLOY / "images").glob("*.sh"):
        assert name not in script.read_text(), f"{script.name} says another"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]
