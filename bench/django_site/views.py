"""The views: one changes rows again and again and says what it took, one is a typical request.

Every change is made inside a request, so each contender's middleware is at work.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from bench.django_site.meter import cost_of
from bench.django_site.models import Order

NOTE = "Leave it with the neighbours at number 12, who are at home from four o'clock on. "


def context_of_request(request: HttpRequest) -> dict[str, object]:
    """Return the context that the README of either package recommends."""
    return {
        "user_id": request.user.pk,
        "endpoint": request.path,
        "method": request.method,
    }


def new_order(number: int) -> Order:
    """Return an order that is not stored yet."""
    return Order(
        number=uuid4().hex,
        customer=number % 997,
        title=f"Order of customer {number % 997}, item {number}",
        note=NOTE,
        amount=Decimal("19.95"),
    )


@login_required
def measure(request: HttpRequest, operation: str, count: int) -> HttpResponse:
    """Do it so many times and answer with what that costs."""
    work = OPERATIONS[operation](count)
    gc.collect()
    return JsonResponse(cost_of(work))


def _create(count: int) -> Callable[[], None]:
    orders = [new_order(number) for number in range(count)]
    return lambda: _each(orders, Order.save)


def _update(count: int) -> Callable[[], None]:
    orders = list(Order.objects.order_by("pk")[:count])
    for order in orders:
        order.quantity += 1
    return lambda: _each(orders, Order.save)


def _delete(count: int) -> Callable[[], None]:
    orders = list(Order.objects.order_by("-pk")[:count])
    return lambda: _each(orders, Order.delete)


def _bulk_create(count: int) -> Callable[[], None]:
    orders = [new_order(number) for number in range(count)]

    def insert() -> None:
        Order.objects.bulk_create(orders)

    return insert


def _bulk_update(count: int) -> Callable[[], None]:
    def update() -> None:
        Order.objects.filter(pk__lte=count).update(quantity=F("quantity") + 1)

    return update


def _each(orders: list[Order], change: Callable[[Order], Any]) -> None:
    for order in orders:
        change(order)


OPERATIONS: dict[str, Callable[[int], Callable[[], None]]] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
    "bulk_create": _bulk_create,
    "queryset_update": _bulk_update,
}


@login_required
def typical(request: HttpRequest, pk: int) -> HttpResponse:
    """Read a few rows, change one and make one, in a transaction."""
    with transaction.atomic():
        order = Order.objects.get(pk=pk)
        others = list(Order.objects.filter(customer=order.customer).order_by("-pk")[:20])
        paid = Order.objects.filter(customer=order.customer, is_paid=True).count()
        order.status = "paid" if order.status == "new" else "new"
        order.save()
        new_order(order.customer).save()
    return JsonResponse({"orders": [other.title for other in others], "paid": paid})


urlpatterns = [
    path("measure/<operation>/<int:count>/", measure),
    path("orders/<int:pk>/", typical),
]
