"""The table that is measured: ten columns and four indexes, as sites have them."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from django.db import models

from bench.django_site.settings import TRACKING


class Order(models.Model):
    """What a customer ordered."""

    number = models.CharField(max_length=40, unique=True)
    customer = models.IntegerField(db_index=True)
    status = models.CharField(max_length=20, default="new", db_index=True)
    title = models.CharField(max_length=200)
    note = models.TextField(blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    quantity = models.IntegerField(default=1)
    is_paid = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[Order]] = models.Manager()

    class Meta:
        app_label = "django_site"
        db_table = "site_order"

    def __str__(self) -> str:
        """Show the number."""
        return self.number


def track() -> None:
    """Ask the contender to track the table, by what its manual says."""
    if TRACKING.startswith("pghistory"):
        pghistory = import_module("pghistory")
        pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())(
            Order
        )
    elif TRACKING == "simple-history":
        import_module("simple_history").register(Order)
    elif TRACKING == "auditlog":
        import_module("auditlog.registry").auditlog.register(Order)


track()
