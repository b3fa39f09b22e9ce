"""Charts as SVG elements, drawn on the server. Colours come from the style sheet by class; nothing is inline script or
style, so the page's content security policy holds.

A chart is never the only way to a figure: each has a text beside it or in its label.
"""

from collections.abc import Sequence

from markupsafe import Markup, escape


def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    last: bool = False,
) -> Markup:
    """A line over equally spaced values, oldest first; a gap where one is None. label: what it shows, in words.

    low, high: the ends of the axis; by default those of the values. last: the newest value has a point on it. Nothing
    is drawn of fewer than three.
    """
    known = [v for v in values if v is not None]
    if len(known) < 3:
        return Markup("")
    bottom = min(known) if low is None else min(low, *known)
    top = max(known) if high is None else max(high, *known)
    span = (top - bottom) or 1.0

    def y(value: float) -> float:
        return round(22 - 20 * (value - bottom) / span, 2) if top > bottom else 12.0

    step = 100 / max(1, len(values) - 1)
    parts, pen = [], "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{round(index * step, 2)} {y(value)}")
        pen = "L"
    line = "".join(parts)
    newest = values[-1]
    point = "" if newest is None or not last else f'<path class="now" d="M100 {y(newest)}h0"/>'
    return _chart("spark", "0 0 100 24", label, f'<path class="line" d="{line}"/>{point}')


def columns(values: Sequence[float], label: str) -> Markup:
    """Columns of equal width over 100 x 32, oldest first."""
    top = max(values, default=0.0) or 1.0
    width = 100 / max(1, len(values))
    bars = "".join(
        f'<rect x="{round(i * width + width * 0.12, 2)}" y="{round(32 - 31 * v / top, 2)}" '
        f'width="{round(width * 0.76, 2)}" height="{round(31 * v / top, 2)}"/>'
        for i, v in enumerate(values)
        if v
    )
    return _chart("columns", "0 0 100 32", label, f'<path class="base" d="M0 31.8H100"/>{bars}')


def gauge(value: float, label: str, *, mark: float | None = None, level: str = "") -> Markup:
    """A bar filled to `value` of 100, with a tick at `mark`. level: ok, warn, bad or empty (neutral)."""
    filled = min(100.0, max(0.0, value))
    tick = (
        ""
        if mark is None
        else f'<rect class="limit" x="{round(min(99.0, max(0.0, mark)), 2)}" y="0" width="1" height="8"/>'
    )
    full = '<rect class="track" y="2" width="100" height="4"/>'
    bar = f'{full}<rect class="fill {level}" y="2" width="{filled:.4g}" height="4"/>'
    return _chart("gauge", "0 0 100 8", label, bar + tick)


def stack(parts: Sequence[tuple[str, float]], label: str) -> Markup:
    """Shares of one whole side by side, each in the colour of its class."""
    total = sum(value for _, value in parts) or 1.0
    drawn, at = "", 0.0
    for name, value in parts:
        width = 100 * value / total
        drawn += f'<rect class="part {escape(name)}" x="{at:.4g}" width="{width:.4g}" height="8"/>'
        at += width
    return _chart("stack", "0 0 100 8", label, drawn)


def curve(points: Sequence[tuple[float, float]], label: str, *, mark: float) -> Markup:
    """A curve through (x, y), each in 0..1 and drawn over 100 x 60, under a line at height `mark`."""
    if len(points) < 2:
        return Markup("")
    line = "M" + "L".join(f"{round(100 * x, 2)} {round(58 - 56 * y, 2)}" for x, y in points)
    limit = f'<path class="mark" d="M0 {round(58 - 56 * mark, 2)}H100"/>'
    return _chart(
        "curve", "0 0 100 60", label, f'<path class="base" d="M0 59.5H100"/>{limit}<path class="line" d="{line}"/>'
    )


def balance(left: float, right: float, label: str, *, mark: float) -> Markup:
    """Two bars from the middle of 100 x 8, each as long as its value is of `mark`, at whose ends something follows."""

    def length(value: float) -> float:
        return round(48 * min(1.0, max(0.0, value / mark)), 2)

    track = '<rect class="track" y="2" width="100" height="4"/>'
    against = f'<rect class="fill bad" x="{50 - length(left):.4g}" y="2" width="{length(left):.4g}" height="4"/>'
    favour = f'<rect class="fill ok" x="50" y="2" width="{length(right):.4g}" height="4"/>'
    ticks = "".join(f'<rect class="limit" x="{x}" y="0" width="0.6" height="8"/>' for x in (1.4, 49.7, 98))
    return _chart("gauge", "0 0 100 8", label, track + against + favour + ticks)


def _chart(kind: str, box: str, label: str, inner: str) -> Markup:
    said = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return Markup(f'<svg class="chart {kind}" viewBox="{box}" preserveAspectRatio="none" {said}>{inner}</svg>')  # noqa: S704 - numbers, and escaped words


GLOBALS = {
    "sparkline": sparkline,
    "columns": columns,
    "gauge": gauge,
    "stack": stack,
    "curve": curve,
    "balance": balance,
}
