"""Sockets that a process listens at."""

import socket

from federation.errors import Refused


def listening(host: str, port: int, setting: str) -> socket.socket:
    """Raises Refused when the address is taken or not of this machine. setting: the section that names it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError as error:
        made.close()
        cure = f"end the process that holds it, or set `{setting}.port` in elias.yaml"
        raise Refused("port-in-use", error.strerror or str(error), place=f"{host}:{port}", cure=cure) from error
    made.setblocking(False)
    return made
