"""Files in the formats that configurations are kept in, and what they refer to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producer.configuration.config_providers import resolve
from producer.configuration.configuration_file import read_properties
from runtime.settings import InvalidSettings


def test_properties_are_read_as_java_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "connector.properties"
    path.write_text(
        "# comment\n"
        "slot.name = orders\n"
        "table.include.list=public\\\\.a,\\\n    public.b\n"
        "topic.prefix:caf\\u00e9\n"
        "database.password=p\\=w \n"
    )
    assert read_properties(path) == {
        "slot.name": "orders",
        "table.include.list": "public\\.a,public.b",
        "topic.prefix": "café",
        "database.password": "p=w ",
    }


PROVIDERS = "org.apache.kafka.common.config.provider"


@pytest.mark.parametrize("wrapped", [True, False])
def test_json_is_read_with_and_without_the_connectors_name(tmp_path: Path, wrapped: bool) -> None:
    config = {"slot.name": "orders", "tasks.max": 1, "tombstones.on.delete": True, "x": None}
    path = tmp_path / "connector.json"
    path.write_text(json.dumps({"name": "c", "config": config} if wrapped else config))
    assert read_properties(path) == {
        "slot.name": "orders",
        "tasks.max": "1",
        "tombstones.on.delete": "true",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ('{"a": {"b": 1}}', "a is no string"),
        ('{"a": [1]}', "a is no string"),
        ("a=\\u00zz", "no properties file"),
    ],
)
def test_what_is_in_neither_format_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "connector"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=says):
        read_properties(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot read"):
        read_properties(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match="cannot read"):
        read_properties(tmp_path / "binary")


def test_what_is_kept_elsewhere_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "secrets.properties").write_text("password=hunter2\n")
    (tmp_path / "user").write_text("me")
    assert resolve(
        {
            "config.providers": "s",
            "config.providers.s.class": f"{PROVIDERS}.FileConfigProvider",
            "a": f"${{s:{tmp_path}/secrets.properties:password}}",
            "b": f"x${{file:{tmp_path}/secrets.properties:password}}y",
            "c": f"${{dir:{tmp_path}:user}}",
            "d": "${env:DATABASE}",
            "e": "no ${reference}",
        },
        {"DATABASE": "shop"},
    ) == {"a": "hunter2", "b": "xhunter2y", "c": "me", "d": "shop", "e": "no ${reference}"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("${vault:secret/db:password}", "provider vault"),
        ("${env:MISSING}", "cannot be read"),
        ("${file:/does/not/exist:key}", "cannot be read"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused_by_the_propertys_name(
    value: str, says: str
) -> None:
    with pytest.raises(InvalidSettings, match=says) as caught:
        resolve({"database.password": value}, {})
    assert "database.password" in str(caught.value)
