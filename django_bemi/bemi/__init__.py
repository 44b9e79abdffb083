"""The context of every database change a Django site makes, and the trail to read back.

Importing this package imports no model and no database driver, so it may stand anywhere in
a site's settings and models.
"""

from bemi.context_api import context, current_context, merge_context, set_context
from bemi.middleware import BemiMiddleware, get_bemi_context
from bemi.mixins import BemiRecordMixin
from bemi.routers import BemiDatabaseRouter
from bemi.triggers import Bemi

__all__ = [
    "Bemi",
    "BemiDatabaseRouter",
    "BemiMiddleware",
    "BemiRecordMixin",
    "context",
    "current_context",
    "get_bemi_context",
    "merge_context",
    "set_context",
]
__version__ = "0.1.0"
