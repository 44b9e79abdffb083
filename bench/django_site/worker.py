"""One contender's site, for as long as the bench runs.

Makes its tables, then answers each line `{"operation": name, "count": number}` of the standard
input by a line with what that cost. It imports nothing but Django, the driver and the
contender, so it runs where only these are installed.
"""

from __future__ import annotations

import json
import logging
import sys
from functools import partial
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command

from bench.django_site.meter import cost_of

REQUEST = "request"


def main() -> None:
    """Answer until the input ends."""
    django.setup()
    # The site's own tables last: a contender's may refer to the users.
    call_command("migrate", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)
    if apps.is_installed("pgtrigger"):
        logging.getLogger("pgtrigger").setLevel(logging.WARNING)
        call_command("pgtrigger", "install", verbosity=0)
    client = _logged_in()
    _answer({"is_ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        operation, count = asked["operation"], asked["count"]
        if operation == REQUEST:
            _answer(cost_of(partial(_request_often, client, count)))
        else:
            response = client.post(f"/measure/{operation}/{count}/")
            _answer(response.json())


def _logged_in() -> Any:
    # Importable only now that Django is set up.
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_user("measured"))
    return client


def _request_often(client: Any, count: int) -> None:
    for pk in range(1, count + 1):
        client.post(f"/orders/{pk}/").content  # noqa: B018 - rendered, as a browser has it.


def _answer(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
