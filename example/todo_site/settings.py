"""Settings of the example site, for the developer's own machine only.

The database is what DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD say, the same names
that the pipeline's stages read; DB_PASSWORD_FILE names a file that holds the password.
Lines that `bemi` needs are marked.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

# A new key with each start only ends the sessions; a key in a public file protects nothing.
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "bemi",  # For bemi: the migration with the triggers, the model of the trail.
    "example.todo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "bemi.BemiMiddleware",  # For bemi: behind authentication, so that the user is known.
]

# For bemi: what is written beside every change.
BEMI_CONTEXT_FUNCTION = "example.todo.bemi_context.context_of_request"

ROOT_URLCONF = "example.todo_site.urls"
ASGI_APPLICATION = "example.todo_site.asgi.application"
WSGI_APPLICATION = "example.todo_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ],
        },
    },
]


def _password() -> str:
    path = os.environ.get("DB_PASSWORD_FILE")
    return Path(path).read_text().strip() if path else os.environ.get("DB_PASSWORD", "")


DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("DB_HOST", "127.0.0.1"),
        "PORT": os.environ.get("DB_PORT", "5432"),
        "NAME": os.environ.get("DB_NAME", "postgres"),
        "USER": os.environ.get("DB_USER", "postgres"),
        "PASSWORD": _password(),
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "todo:tasks"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
