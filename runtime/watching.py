"""Let a stage be watched while it runs: metrics, health, whether the brokers answer. Edge."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from runtime.endpoint import serving
from runtime.group_lag import brokers_check
from runtime.health import Health, RemindedCheck
from runtime.metrics import StageMetrics
from runtime.settings import StageSettings

if TYPE_CHECKING:
    from runtime.kafka_client import Admin

CHECK_KEPT_SECONDS = 3.0

log = logging.getLogger(__name__)


@contextmanager
def watched(
    settings: StageSettings, metrics: StageMetrics, health: Health, admin: Admin
) -> Iterator[None]:
    """Serve what the settings ask for while the block runs; nothing where they ask for nothing.

    Raises a Stop error where the address cannot be had.
    """
    metrics.show(health)
    health.check_also("kafka", RemindedCheck(partial(brokers_check, admin), CHECK_KEPT_SECONDS))
    with serving(settings.metrics_address, metrics.registry, health) as port:
        if port is not None:
            log.info("serving /metrics, /livez and /readyz at port %d", port)
        yield
