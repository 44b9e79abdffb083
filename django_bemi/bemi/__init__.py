"""The context of every database change a Django site makes, and the trail to read back.

Importing this package imports no model and no database driver, so it may stand anywhere in
a site's settings and models.
"""

from bemi.middleware import BemiMiddleware, get_bemi_context
from bemi.mixins import BemiRecordMixin
from bemi.routers import BemiDatabaseRouter
from bemi.triggers import Bemi

__all__ = [
    "Bemi",
    "BemiDatabaseRouter",
    "BemiMiddleware",
    "BemiRecordMixin",
    "get_bemi_context",
]
__version__ = "0.1.0"
