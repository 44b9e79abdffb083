"""Exit with 0 where the stage in this container answers that it is ready, else say why not.

Containers are asked this every few seconds, so nothing is imported that is not needed.
"""

from __future__ import annotations

import http.client
import os
import sys

OK = 200
TIMEOUT_SECONDS = 4.0


def main() -> None:
    """Ask the address that the stage was told to answer at."""
    port = os.environ["BEMI_METRICS_ADDRESS"].rpartition(":")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except OSError as error:
        sys.exit(f"the stage does not answer: {error}")
    if answer.status != OK:
        sys.exit(text)


if __name__ == "__main__":
    main()
