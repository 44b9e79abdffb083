"""Write docs/settings.md from the settings themselves: `python -m docs.settings_page`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from producer.settings import ProducerSettings
from runtime.settings import StageSettings
from sink_pg.settings import SinkSettings
from stitcher_stream.settings import StitcherSettings

PAGE = Path(__file__).with_name("settings.md")
STAGES: dict[str, type[StageSettings]] = {
    "Producer (`bemi-producer`)": ProducerSettings,
    "Stitcher (`bemi-stitcher`)": StitcherSettings,
    "Sink (`bemi-sink`)": SinkSettings,
}
INTRODUCTION = """\
# Settings

Every setting is an environment variable. Any of them may be given as a file instead: `NAME_FILE`
holds the path (secrets belong there). A misspelt `BEMI_*` name is refused at the start. This page
is made by `python -m docs.settings_page` and a test compares it.
"""


def render() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for title, settings in STAGES.items():
        parts.append(f"\n## {title}\n\n| Variable | Default | Meaning |\n|---|---|---|\n")
        for name, variables in settings.environment_names().items():
            field = settings.model_fields[name]
            names = " or ".join(f"`{variable}`" for variable in variables)
            parts.append(f"| {names} | {_default(field.default)} | {field.description} |\n")
    return "".join(parts)


def _default(value: object) -> str:
    if isinstance(value, SecretStr) or value in ("", None):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render())
