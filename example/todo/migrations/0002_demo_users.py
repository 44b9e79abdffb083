"""Make the users whose passwords stand on the login page."""

from __future__ import annotations

from django.apps.registry import Apps
from django.contrib.auth.hashers import make_password
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from example.todo.demo_users import DEMO_USERS


def make_demo_users(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make each user that is not there; one that is keeps its password."""
    users = apps.get_model("auth", "User").objects.using(schema_editor.connection.alias)
    for username, password in DEMO_USERS.items():
        users.get_or_create(
            username=username,
            defaults={"password": make_password(password), "first_name": username.capitalize()},
        )


class Migration(migrations.Migration):
    """Backwards it leaves the users, who may have got tasks or other passwords."""

    dependencies = [
        ("todo", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunPython(make_demo_users, migrations.RunPython.noop)]
