"""The settings of the connection to Kafka in Faust's form. Edge: faust, ssl.

Faust reads through aiokafka, which knows none of librdkafka's names.
"""

from __future__ import annotations

from typing import Any

import faust

from runtime.kafka_settings import KafkaSettings, ssl_context


def broker_credentials(settings: KafkaSettings) -> Any | None:
    """Return what Faust logs in and encrypts with; None where brokers are asked in the clear."""
    context = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
