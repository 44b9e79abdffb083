"""Install the triggers where 0001 was applied by bemi-django, with triggers per row."""

from __future__ import annotations

from django.db import migrations

from bemi.triggers import UpgradeTriggers


class Migration(migrations.Migration):
    """Not atomic, so that no table stays locked while the others are covered."""

    atomic = False
    dependencies = [("bemi", "0002_bemichange")]
    operations = [UpgradeTriggers()]
