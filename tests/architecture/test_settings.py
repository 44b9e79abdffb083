"""Every setting that can be given has an effect."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from producer.settings import ProducerSettings

PRODUCER = Path(__file__).parents[2] / "producer"


def attributes_read(folder: Path) -> set[str]:
    """Return every name that the folder's code reads of what it calls settings."""
    return {
        node.attr
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("settings")
    }


READ = attributes_read(PRODUCER) | attributes_read(PRODUCER.parent / "runtime")


@pytest.mark.parametrize("field", ProducerSettings.model_fields)
def test_the_setting_is_read(field: str) -> None:
    assert field in READ, (
        f"nothing in producer/ reads {field}: read it, or say in "
        "producer/configuration/unused.py why it changes nothing"
    )
