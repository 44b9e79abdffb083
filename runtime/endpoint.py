"""Serve /metrics, /livez and /readyz over HTTP, in a thread of its own. Edge: a socket.

For a monitoring system and for whoever supervises the process: no authentication, nothing that
changes anything, no value of a row. Bind it to loopback or to a network of your own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

from runtime.errors import Stop
from runtime.health import Health

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from prometheus_client import CollectorRegistry

REQUEST_SECONDS = 10.0

OK, UNAVAILABLE, NOT_FOUND = "200 OK", "503 Service Unavailable", "404 Not Found"


class AddressInUse(Stop):
    """The address for the metrics cannot be listened on."""


class _Server(ThreadingWSGIServer):
    """Answers each request by a thread that does not hold up the process's end."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Lets nobody keep a thread for long, and writes no line for each request."""

    timeout = REQUEST_SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing: a probe asks every few seconds."""


class Endpoint:
    """The application that answers; see the module for what of."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path == "/livez":
            why = self._health.why_not_alive()
            return _json(start, {} if why is None else {"progress": why})
        if path == "/readyz":
            return _json(start, self._health.why_not_ready())
        start(NOT_FOUND, [("Content-Type", "text/plain")])
        return [b"/metrics, /livez, /readyz\n"]


def _json(start: StartResponse, problems: object) -> Iterable[bytes]:
    start(UNAVAILABLE if problems else OK, [("Content-Type", "application/json")])
    return [json.dumps({"ok": not problems, "problems": problems}).encode() + b"\n"]


@contextmanager
def serving(address: str, registry: CollectorRegistry, health: Health) -> Iterator[int | None]:
    """Answer on `host:port` while the block runs; yields the port, None where there is no address.

    Port 0 is any free one. Raises AddressInUse where the address cannot be had.
    """
    if not address:
        yield None
        return
    host, _, port = address.rpartition(":")
    try:
        server = make_server(
            host.strip("[]"), int(port), Endpoint(registry, health), _server_of(host), _Handler
        )
    except OSError as error:
        raise AddressInUse(
            f"cannot listen on {address} ({error.strerror or error}): give BEMI_METRICS_ADDRESS "
            "a free port of this machine"
        ) from error
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics", daemon=True
    )
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _server_of(host: str) -> type[ThreadingWSGIServer]:
    if ":" not in host:
        return _Server
    import socket

    class Server6(_Server):
        address_family = socket.AF_INET6

    return Server6
