"""Settings of the measured site: the same for all but for what a contender's manual says to add.

BENCH_TRACKING names the contender; DB_HOST and its like say where its database is.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

TRACKING = os.environ["BENCH_TRACKING"]

SECRET_KEY = "measured"  # noqa: S105 - the site answers nobody but its own client.
DEBUG = False  # Or Django would keep every statement in memory.
LOGGING_CONFIG = None
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "bench.django_site.views"

APPS: dict[str, list[str]] = {
    "plain": [],
    "bemi": ["bemi"],
    "pghistory": ["pghistory", "pgtrigger"],
    "simple-history": ["simple_history"],
    "auditlog": ["auditlog"],
}
MIDDLEWARES = {
    "bemi": "bemi.BemiMiddleware",
    "pghistory": "pghistory.middleware.HistoryMiddleware",
    "simple-history": "simple_history.middleware.HistoryRequestMiddleware",
    "auditlog": "auditlog.middleware.AuditlogMiddleware",
}

FAMILY = {
    "bemi-without-sql": "bemi",
    "bemi-whole-sql": "bemi",
    "pghistory-row": "pghistory",
    "pghistory-statement": "pghistory",
}.get(TRACKING, TRACKING)
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    *APPS[FAMILY],
    "bench.django_site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    *([MIDDLEWARES[FAMILY]] if FAMILY in MIDDLEWARES else []),
]
BEMI_CONTEXT_FUNCTION = "bench.django_site.views.context_of_request"
BEMI_SQL_MAX_LENGTH = 0 if TRACKING == "bemi-without-sql" else 2048
BEMI_WHOLE_SQL = TRACKING == "bemi-whole-sql"
if TRACKING == "pghistory-statement":
    PGHISTORY_LEVEL: Any = import_module("pgtrigger").Statement

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["DB_HOST"],
        "PORT": os.environ["DB_PORT"],
        "NAME": os.environ["DB_NAME"],
        "USER": os.environ["DB_USER"],
        "PASSWORD": os.environ["DB_PASSWORD"],
        "CONN_MAX_AGE": None,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
