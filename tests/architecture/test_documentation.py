"""The pages that are made from code say what the code says."""

from __future__ import annotations

from docs.settings_page import PAGE, STAGES, render


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == render(), "run `python -m docs.settings_page`"


def test_every_setting_has_a_description() -> None:
    for settings in STAGES.values():
        for name, field in settings.model_fields.items():
            assert field.description, name
