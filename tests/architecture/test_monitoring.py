"""Alert rules, dashboard and page name metrics that the stages have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.errors import ConnectionLost
from producer.metrics import ProducerMetrics
from producer.slot_metrics import SlotCollector
from producer.sql_connection import Connection
from runtime.metrics import StageMetrics
from sink_pg.metrics import LAG as SINK_LAG
from sink_pg.metrics import DestinationCollector, SinkMetrics
from sink_pg.settings import SinkSettings
from stitcher_stream.metrics import LAG as STITCHER_LAG
from stitcher_stream.metrics import StitcherMetrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
FILES = {
    "alerts": MONITORING / "alerts.yml",
    "dashboard": MONITORING / "dashboards" / "bemi.json",
    "page": ROOT / "docs" / "monitoring.md",
}
NAME = re.compile(r"\b(?:bemi|process)_[a-z_]+[a-z]\b")
ROLES = {"bemi_source", "bemi_sink", "bemi_retention", "bemi_reader"}
NO_METRICS = {"bemi_dead_letters", "bemi_gap", *ROLES}


def no_server() -> Connection:
    raise ConnectionLost


def names() -> Iterator[str]:
    """Return the name of each series that a stage shows."""
    producer = ProducerMetrics()
    stages: list[StageMetrics] = [producer, StitcherMetrics(), SinkMetrics()]
    for stage in stages:
        yield from stage.names()
    for collector in (
        SlotCollector(no_server, "bemi"),
        DestinationCollector(SinkSettings.from_environ({})),
    ):
        yield from (metric.name for metric in collector.describe())
    yield from (STITCHER_LAG, SINK_LAG)


NAMES = set(names())
BARE = {re.sub("_(bucket|sum|count)$", "", name) for name in NAMES}
"""Histograms by the name that a person gives them, which no query may use."""


@pytest.mark.parametrize("file", FILES)
def test_every_metric_that_is_named_is_there(file: str) -> None:
    named = set(NAME.findall(FILES[file].read_text())) - NO_METRICS
    assert named, file
    known = NAMES | BARE if file == "page" else NAMES
    assert named <= known, f"{FILES[file]} names {sorted(named - known)}"


def test_every_metric_is_on_the_page() -> None:
    page = FILES["page"].read_text()
    ours = {name for name in BARE if name.startswith("bemi_")}
    missing = sorted(name for name in ours if f"`{name}`" not in page)
    assert not missing, f"docs/monitoring.md lacks {missing}"


def test_the_dashboard_has_a_question_in_each_panel() -> None:
    panels = json.loads(FILES["dashboard"].read_text())["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
