"""The fixture `bemi_changes` for sites that test with pytest; see `bemi.testing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bemi.testing import CapturedChanges


@pytest.fixture
def bemi_changes(db: None) -> Iterator[CapturedChanges]:
    """Capture what the test changes in the default database, from here on."""
    from bemi.testing import captured_changes

    with captured_changes() as changes:
        yield changes
