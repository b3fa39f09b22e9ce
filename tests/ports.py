"""Ports for servers that must be told theirs before they start."""

import socket


def free_port() -> int:
    """A TCP port of 127.0.0.1 for a server of this test run; no other process gets it by chance while this one lives.

    It stays bound, so the kernel gives it to nobody who asks for any port, and to no connection. A server that sets
    SO_REUSEADDR, as all of ours do, can still bind it, because nobody listens there (socket(7)).
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        held.detach()  # bound until this process ends
    return port
