"""What the site wants to know about every change: who made it, and where in the site."""

from __future__ import annotations

from uuid import uuid4

from django.http import HttpRequest


def context_of_request(request: HttpRequest) -> dict[str, object]:
    """Return the context of all that the request changes. Named by BEMI_CONTEXT_FUNCTION.

    By the request's id its changes are found again, and can be undone together.
    """
    return {
        "user_id": request.user.pk,
        "endpoint": request.path,
        "method": request.method,
        "request_id": str(uuid4()),
    }
