"""How figures are written for people: durations, sizes, counts, shares. Pure; templates call these as filters."""

import json
import re
from collections.abc import Mapping
from typing import Any

from federation.clock import SECOND
from managers.uim.reading import iso, nanoseconds

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_AGES = (("d", 86400), ("h", 3600), ("min", 60))


def duration(seconds: float) -> str:
    """The largest unit that fits, whole: `3 d`, `12 min`, `45 s`."""
    for unit, size in _AGES:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def clock(seconds: float) -> str:
    """A countdown that keeps its width: `1:02:03`, `12:05`, `0:45`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def ago(now: int, time: str) -> str:
    """Since an RFC 3339 time. now: ns."""
    return duration((now - nanoseconds(time)) / SECOND)


def until(now: int, time: str) -> str:
    """To an RFC 3339 time. now: ns."""
    return duration((nanoseconds(time) - now) / SECOND)


def size(count: float) -> str:
    """Bytes, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def count(number: float) -> str:
    """Thousands apart by a narrow space: `12 345`."""
    return f"{number:,.0f}".replace(",", "\u202f")


def share(part: float) -> str:
    """A share of 1 as percent: `97 %`, `0.4 %`."""
    percent = 100 * part
    return f"{percent:.1f} %" if 0 < percent < 10 and round(percent, 1) != round(percent) else f"{percent:.0f} %"


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def plain(value: Any) -> str:
    """Any fact or argument on one line."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case str() | int():
            return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def percents(values: Mapping[str, str]) -> tuple[float, float] | None:
    """Of a comparison between two percentages: what was seen, and the threshold."""
    found = [match for match in (_PERCENT.fullmatch(text) for text in values.values()) if match]
    return (float(found[0][1]), float(found[1][1])) if len(found) == 2 else None


FILTERS = {
    "clock": clock,
    "count": count,
    "duration": duration,
    "iso": iso,
    "plain": plain,
    "pretty": pretty,
    "share": share,
    "size": size,
}
