"""Install the triggers. The name is recorded by sites that began with bemi-django."""

from __future__ import annotations

from django.db import migrations

from bemi.triggers import InstallTriggers


class Migration(migrations.Migration):
    """Not atomic, so that no table stays locked while the others are covered."""

    initial = True
    atomic = False
    dependencies = []
    operations = [InstallTriggers()]
