#!/usr/bin/env python
"""Ends with 0 where the ELIAS of this container is well: the API answers, or its agent is up on a machine that stands
by or has joined. `elias status` would say more, and take a second of CPU for it, every half minute."""

import http.client
import ssl
import sys
from pathlib import Path

STATE = Path("/var/lib/elias/state")
PORT = 8600


def serves(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is this machine, and nothing secret is said
    for connection in (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=4, context=context),
        http.client.HTTPConnection("127.0.0.1", port, timeout=4),
    ):
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


def joined(state: Path) -> bool:
    """Beside the sign of an agent that was left by a head that has ended there is no session of a node."""
    return (state / "joined.token").exists() and any(state.glob("nodes/*/agent.up"))


if __name__ == "__main__":
    sys.exit(0 if serves(PORT) or joined(STATE) else 1)
