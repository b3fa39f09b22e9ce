"""What Ray starts as a worker, in place of its own program: it asks the fork server for a copy, and ends.

Only the standard library is imported, for this is what each actor waits for: 40 ms, beside the 1.2 s of CPU of a worker
that begins from nothing.
"""

import json
import os
import runpy
import socket
import sys
from importlib.util import find_spec

FOLDER = "ELIAS_SOCKETS"
"""The environment variable that names the folder of this node's sockets; without it everything goes through Ray."""
SOCKET = "workers.sock"  # of the fork server, in that folder
STREAMS = (0, 1, 2)  # input, output, errors: a copy has those of who asked
PATIENCE = 20.0  # seconds for a copy, which takes 10 ms once the server has read its code


def theirs() -> str:
    """The program that Ray itself would start."""
    spec = find_spec("ray")  # without importing it
    assert spec is not None
    assert spec.submodule_search_locations
    return os.path.join(spec.submodule_search_locations[0], "_private", "workers", "default_worker.py")


def copied() -> bool:
    """Whether there is a copy that is this worker from now on."""
    wish = {
        "argv": sys.argv,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "executable": sys.executable,
        "path": sys.path[1:],
    }
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(PATIENCE)
            server.connect(os.path.join(os.environ[FOLDER], SOCKET))
            message = json.dumps(wish).encode()
            sent = socket.send_fds(server, [message], STREAMS)
            server.sendall(message[sent:])
            server.shutdown(socket.SHUT_WR)
            return bool(server.recv(16))
    except (OSError, KeyError):
        return False


if __name__ == "__main__" and not copied():
    sys.path[0] = os.path.dirname(theirs())
    runpy.run_path(theirs(), run_name="__main__")
