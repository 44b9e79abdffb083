"""Know the table `changes`, which the sink makes. Touches no database."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """State only: the model is not managed."""

    dependencies = [("bemi", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="BemiChange",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("database", models.TextField()),
                ("schema", models.TextField()),
                ("table", models.CharField(max_length=255)),
                ("primary_key", models.CharField(max_length=255, null=True)),
                ("operation", models.CharField(max_length=10)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("context", models.JSONField(null=True)),
                ("committed_at", models.DateTimeField()),
                ("queued_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("transaction_id", models.BigIntegerField()),
                ("position", models.BigIntegerField()),
                ("commit_lsn", models.BigIntegerField(null=True)),
                ("ordinal", models.BigIntegerField(null=True)),
                ("epoch", models.TextField(null=True)),
                ("context_error", models.TextField(null=True)),
            ],
            options={
                "db_table": "changes",
                "ordering": ("committed_at", "position", "ordinal"),
                "managed": False,
            },
        ),
    ]
