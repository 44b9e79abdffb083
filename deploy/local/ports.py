"""Choose the TCP ports that local servers listen on.

A port is only free at the moment it is looked at. Ports are taken below the range that
systems hand out to outgoing connections, because a server that is restarted on such a port
can find it in use by a client that was trying to reach it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from runtime.errors import Stop

LOOPBACK = "127.0.0.1"
# Linux gives outgoing connections 32768 and up, macOS 49152 and up.
FIRST_PORT, LAST_PORT = 20_000, 32_000
ATTEMPTS = 200


class NoFreePort(Stop):
    """No free TCP port was found between 20000 and 32000; end some of what listens there."""


def is_free(port: int) -> bool:
    """Tell whether nothing listens on the port and this process may listen on it."""
    with socket.socket() as probe:
        # As the servers do: a connection that is only waiting to be forgotten does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not is_listening(port)


def is_listening(port: int) -> bool:
    """Tell whether a connection to the port on loopback is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """Return a port that is free now, another one nearly every time."""
    for _ in range(ATTEMPTS):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - it is no secret
        if is_free(port):
            return port
    raise NoFreePort


def choose_port(
    usual: int, kept: int | None = None, *, is_free: Callable[[int], bool] = is_free
) -> int:
    """Return the kept port if it is free, else the usual one, else any free one."""
    for port in (kept, usual):
        if port is not None and is_free(port):
            return port
    return free_port()
