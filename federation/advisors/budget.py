"""What a day may bring, in calls and dollars, and what it has brought. Pure: time is given, and after a restart the
records of the day are told again.
"""

from collections import defaultdict
from collections.abc import Iterable

from federation.advisors.question import Spent
from federation.advisors.settings import AdvisorSettings
from federation.clock import DAY
from federation.records import Advised


class Budget:
    """Of the day (UTC) in which it is asked. A call is counted when it begins, what it cost when it has ended: calls
    that are under way together can exceed the dollars by what they cost."""

    def __init__(self, settings: AdvisorSettings, now: int = 0) -> None:
        self._settings = settings
        self._day = now // DAY
        self._points: defaultdict[str, Spent] = defaultdict(Spent)

    def replay(self, records: Iterable[tuple[str, Advised]], now: int) -> None:
        """The records of a day so far, with their points."""
        for point, advised in records:
            if advised.at // DAY == now // DAY:
                calls, read = advised.calls, advised.cached_tokens
                spent = Spent(calls, advised.input_tokens, read, advised.output_tokens, advised.cost)
                self.spend(point, spent, now)

    def refusal(self, point: str, now: int) -> str:
        """Why no call may begin; empty: one may."""
        self._turn(now)
        limits = self._settings
        whole, mine = self.spent(now), self._points[point]
        for what, spent, calls, cost in (
            ("the advisors", whole, limits.calls_a_day, limits.cost_a_day),
            (f"advisors at {point}", mine, limits.point_calls_a_day, limits.point_cost_a_day),
        ):
            if spent.calls >= calls:
                return f"the {calls} calls that a day may bring {what} are used up"
            if spent.cost >= cost:
                return f"the ${cost:.2f} that a day may cost {what} are used up"
        return ""

    def begin(self, point: str, now: int) -> None:
        """A call is made."""
        self.spend(point, Spent(calls=1), now)

    def spend(self, point: str, spent: Spent, now: int) -> None:
        self._turn(now)
        self._points[point] += spent

    def spent(self, now: int) -> Spent:
        """Of all points, today."""
        self._turn(now)
        return sum(self._points.values(), Spent())

    def by_point(self, now: int) -> dict[str, Spent]:
        self._turn(now)
        return {point: spent for point, spent in self._points.items() if spent.calls}

    def _turn(self, now: int) -> None:
        if now // DAY != self._day:
            self._day = now // DAY
            self._points.clear()
