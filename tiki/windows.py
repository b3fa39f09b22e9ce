"""Conditions judged over time: `for 30s` and `clear at 85%`, in three-valued logic over samples on ledger time.

A sample holds until the next one, at most `max_age` long; what lies between is unknown. Over the last `duration` a
window is false where any moment is known to be false, true where every moment is known to be true, else unknown.
"""

from tiki.plan import Window
from tiki.values import Truth

SECOND = 1_000_000_000


class Track:
    """What one window remembers of one subject. Times in nanoseconds."""

    __slots__ = ("at", "false_until", "held", "since", "truth")

    def __init__(self) -> None:
        self.at: int | None = None
        self.truth: Truth = None
        self.since: int | None = None
        self.false_until: int | None = None
        self.held: Truth = None

    def rest(self, at: int) -> None:
        """Takes in a sample at which the condition is false and nothing keeps it true: what `judge` would do, in short.
        When it was false before matters no more, for it is false now."""
        if self.at is None or at > self.at:
            self.at = at
        self.truth = self.held = False
        self.since = None


class Memory:
    """The windows of one subject at one decision point.
    Starts cold; a window whose clause was changed starts cold again."""

    __slots__ = ("_rested", "keys", "tracks")

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()
        self.tracks: tuple[Track, ...] = ()
        self._rested: int | None = None  # the last of the samples at which all tracks rested, not yet written to them

    def fit(self, keys: tuple[str, ...]) -> tuple[Track, ...]:
        """The tracks for these windows, those already known kept."""
        if self._rested is not None:
            for track in self.tracks:
                track.rest(self._rested)
            self._rested = None
        if keys is not self.keys:
            known = dict(zip(self.keys, self.tracks, strict=True))
            self.tracks = tuple(known.get(key) or Track() for key in keys)
            self.keys = keys
        return self.tracks

    def rest(self, keys: tuple[str, ...], at: int) -> None:
        """Takes in a sample at which every condition is false and nothing keeps one true. Of several in a row the last
        one says all, so the tracks hear of it when something else comes."""
        if keys is not self.keys:
            self.fit(keys)
        if self._rested is None or at > self._rested:
            self._rested = at


def judge(window: Window, track: Track, at: int, truth: Truth, stay: Truth) -> Truth:
    """Takes one sample in and gives the truth of the window at its time.

    truth: of the condition at `at`; stay: of the condition that keeps it true, ignored without `clear at`. A sample
    that is older than the last one is judged as if it came with it.
    """
    before = track.at
    if before is not None:
        at = max(at, before)
        known_until = at if window.max_age is None else min(at, before + round(window.max_age * SECOND))
        if track.truth is False:
            track.false_until = known_until
        if known_until < at:
            track.since = track.held = None
    if truth is not True:
        track.since = None
    elif track.since is None:
        track.since = at
    track.at, track.truth = at, truth

    over = _over(truth, track, at, round(window.duration * SECOND))
    if window.stay is not None:
        over = _either(over, _both(track.held, stay))
    track.held = over
    return over


def _over(truth: Truth, track: Track, at: int, duration: int) -> Truth:
    if duration == 0 or truth is False:
        return truth
    if track.since is not None and at - track.since >= duration:
        return True
    if track.false_until is not None and at - track.false_until < duration:
        return False
    return None


def _both(left: Truth, right: Truth) -> Truth:
    return False if left is False or right is False else None if left is None or right is None else True


def _either(left: Truth, right: Truth) -> Truth:
    return True if left is True or right is True else None if left is None or right is None else False
