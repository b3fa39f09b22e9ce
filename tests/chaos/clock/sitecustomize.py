"""A clock that can be off: Python imports this as it starts, where the folder is in PYTHONPATH.

The file that CHAOS_CLOCK names holds eight bytes, little-endian: nanoseconds to add to the time of day. It is mapped,
so a change is seen at once. `datetime.now` and what is no Python keep the time of the machine. Timers are never off:
they count by the monotonic clock, here as on a machine whose time is set.
"""

import mmap
import os
import struct
import time

with open(os.environ["CHAOS_CLOCK"], "rb") as _file:
    _off = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
_now = time.time_ns
_read = struct.Struct("<q").unpack


def _time_ns() -> int:
    return _now() + _read(_off[:])[0]


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns, time.time = _time_ns, _time
