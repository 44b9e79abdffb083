"""What every stage counts, in Prometheus' form. Edge: prometheus_client.

Each stage has a class of its own on top of this one, whose attributes are its metrics. They are
added to once a batch, never once a row; what is asked of servers is asked when somebody scrapes.
Names follow Prometheus: `bemi_`, the stage where it is not the pipeline's, the unit, `_total`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import Metric

from runtime.health import Health

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histograms of times: from one batch to what somebody is called for."""


class Asked(Protocol):
    """What asks a server at each scrape."""

    def collect(self) -> Iterable[Metric]:
        """Return what it is now; raises nothing."""

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without their values; asks nobody."""


class StageMetrics:
    """The metrics of one process of a stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.registry = CollectorRegistry()
        # Of the process: memory, processor time, open files.
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = Info("bemi_build", "The stage and its version.", registry=self.registry)
        build.info({"stage": stage, "version": _version()})
        self._ready = self.gauge(
            "bemi_ready", "Whether the stage does its work (1) or waits for something (0)."
        )
        self._since_turn = self.gauge(
            "bemi_seconds_since_turn", "Time since the stage's main loop turned."
        )

    def show(self, health: Health) -> None:
        """Tell of the health, as it is at each scrape."""
        self._ready.set_function(lambda: float(health.is_ready))
        self._since_turn.set_function(health.seconds_since_turn)

    def ask(self, collector: Asked) -> None:
        """Have the collector asked at each scrape."""
        self.registry.register(collector)

    def counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        """Return a new counter; `_total` is added to its name."""
        return Counter(name, text, tuple(labels), registry=self.registry)

    def gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        """Return a new gauge."""
        return Gauge(name, text, tuple(labels), registry=self.registry)

    def histogram(self, name: str, text: str, bounds: Iterable[float] = SECONDS) -> Histogram:
        """Return a new histogram."""
        return Histogram(name, text, registry=self.registry, buckets=tuple(bounds))

    def names(self) -> Iterator[str]:
        """Return the name of each series, as a query writes it."""
        for metric in self.registry.collect():
            if metric.type == "histogram":
                yield from (f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))
            elif metric.type == "counter":
                yield f"{metric.name}_total"
            elif metric.type == "info":
                yield f"{metric.name}_info"
            else:
                yield metric.name


def _version() -> str:
    try:
        return version("bemi-pipeline")
    except PackageNotFoundError:
        return "unknown"
