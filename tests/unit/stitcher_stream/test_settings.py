"""The stitcher's settings."""

from __future__ import annotations

import pytest

from runtime.settings import InvalidSettings
from stitcher_stream.settings import StitcherSettings


def test_group_is_named_after_the_prefix_so_that_pipelines_do_not_meet() -> None:
    assert StitcherSettings.from_environ({"BEMI_TOPIC_PREFIX": "shop"}).group_id == "shop.stitcher"


def test_misspelt_setting_of_the_stitcher_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="BEMI_STITCHER_FETCH_BYTES"):
        StitcherSettings.from_environ({"BEMI_STITCHER_FETCH_BYTE": "1"})


def test_changes_are_kept_unless_told_otherwise() -> None:
    assert StitcherSettings.from_environ({}).changes_retention_ms == -1
