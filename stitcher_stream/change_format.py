"""Decide what `.changes` is written in. Edge: asks the schema registry where there is one.

The registry is asked once, before anything is read. Its client is imported only then, since it
is heavy and only there with the extra `avro`.
"""

from __future__ import annotations

from contextlib import closing

from runtime.errors import Stop
from runtime.registry_settings import RegistrySettings
from schemas.avro import registry_header, schema_text, single_object_header
from schemas.topics import Topics
from stitcher_stream.change_records import Encode, avro_encoder, encode_change
from stitcher_stream.settings import StitcherSettings


def change_encoder(settings: StitcherSettings) -> Encode:
    """Return what writes the values of `.changes`.

    Raises a Retry for a registry that does not answer, a Stop for one that refuses the schema.
    """
    if settings.changes_format == "json":
        return encode_change
    if not settings.registry_url:
        return avro_encoder(single_object_header())
    return avro_encoder(registry_header(_schema_id(settings)))


def _schema_id(settings: StitcherSettings) -> int:
    try:
        from runtime.schema_registry import ConfluentRegistry
    except ImportError as error:
        raise Stop(
            f"a schema registry needs the extra avro ({error}): pip install 'bemi-pipeline[avro]'"
        ) from error
    registry = ConfluentRegistry(
        RegistrySettings(
            settings.registry_url,
            settings.registry_user_info.get_secret_value() or None,
            ca_location=settings.registry_ca_location or None,
        )
    )
    with closing(registry):
        return registry.id_of(f"{Topics(settings.topic_prefix).changes}-value", schema_text())
