"""Who may log in: users whose passwords stand on the login page, because it is a demo."""

from __future__ import annotations

DEMO_USERS = {"ada": "lovelace", "grace": "hopper"}
"""Passwords by user name."""
