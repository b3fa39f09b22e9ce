"""Whether a message comes anew: each is taken once, and only while it is young."""

from collections import OrderedDict

from federation.errors import Refused

YOUNG = 60_000  # ms for which a message counts, and by which the clocks of two clusters may differ
MOST = 10_000  # messages of one peer within that time


class Window:
    """Ids of the messages that still count. Times in ms since 1970.

    since: nothing that was sent before is taken, for what was taken before a restart is not known any more.
    """

    def __init__(self, since: int) -> None:
        self.since = since
        self._seen: dict[str, OrderedDict[str, int]] = {}

    def take(self, sender: str, id: str, sent: int, now: int) -> None:
        """Remembers the message. Raises Refused for one that is too old, of the future, or known."""
        age = now - sent
        if age > YOUNG or age < -YOUNG:
            when = f"{abs(age) / 1000:.0f} s {'old' if age > 0 else 'ahead of our clock'}"
            cure = "compare the clocks of both clusters (`elias doctor`); what was sent is sent anew"
            raise Refused("peer-late", f"the message is {when}, and counts for {YOUNG // 1000} s", cure=cure)
        if sent < self.since:
            what = "it was sent before this process began, which cannot know whether it was taken then"
            raise Refused("peer-late", what, cure="send it anew")
        seen = self._seen.setdefault(sender, OrderedDict())
        while seen and now - next(iter(seen.values())) > 2 * YOUNG:
            seen.popitem(last=False)
        if id in seen:
            raise Refused("peer-repeated", f"message `{id}` was taken before", cure="give a new message a new id")
        if len(seen) >= MOST:
            raise Refused("peer-busy", f"more than {MOST} messages within {2 * YOUNG // 1000} s", cure="send fewer")
        seen[id] = now
