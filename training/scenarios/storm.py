"""The world of `ucm.storm`: a target gets more messages than it takes, and one lever can be pulled.

What comes of a choice is the percentage of the messages' worth that is left after ten minutes, 100 minus two prices:

    late = 100 * (1 - 1 / u) * (0.4 + queue_fill) * (1 + 2 * critical)      where u > 1, else nothing
    side = what the lever itself costs

u is what arrives by what the target takes, after the lever. What does not fit is late; a queue with room takes much of
it up, a full one loses it, and critical messages count three times. Each lever takes a share of the load away:

    throttle         0.15 + 0.85 * retries   8, and 20 for critical messages: they are slowed down like all
    batch            overhead                4, and 40 for critical messages: they wait until a batch is full
    drop_low         low                     30 for all that is dropped
    drop_duplicates  duplicates              3, and 10 for all that is dropped: what looks the same may differ
    reroute          standby_room            8: a standby is slower
    hold             nothing                 nothing

Where the oldest message is more than twice as old as the wait that was worked out, the reports contradict each other:
the target has stalled and takes half of what it was seen to take.

Noise: shares are counted on samples, so those of now are drawn around what was reported, and what nobody reported is
drawn from all storms. The load moves on with its trend. One lever in sixty does not work.

All figures are invented; the forms are those of a queue that is served at a constant rate (Little's law for the wait).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from federation.records import Candidate
from managers.ucm.points import STORM as POINT
from training.scenarios.draws import between, rounded
from training.scenarios.world import Seen

_SAMPLING = 0.02  # standard deviation of a share that was counted
_STALLED = 2.0  # an oldest message that is older than this many waits
_STALL = 2.0  # by how much such a target takes less
_BROKEN = 1 / 60  # levers that do not work


@dataclass(frozen=True)
class _Family:
    """Ranges in percent that a situation is drawn from. stalls: how often the target has stalled. standby: how often
    there is one."""

    load: tuple[int, int] = (105, 240)
    trend: tuple[int, int] = (-10, 20)
    queue_fill: tuple[int, int] = (5, 95)
    shares: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    stalls: float = 0.1
    standby: float = 0.5


_FAMILIES: Mapping[str, _Family] = {
    "retry_storm": _Family(shares={"retries": (25, 85)}),
    "chatty_senders": _Family(shares={"low": (15, 80), "duplicates": (10, 75)}),
    "many_small_messages": _Family(shares={"overhead": (30, 80)}),
    "passing_burst": _Family(load=(95, 180), trend=(-60, 0), queue_fill=(1, 50)),
    "stalled_target": _Family(load=(70, 130), stalls=0.7, standby=0.9),
    "chatty_senders_at_a_stalled_target": _Family(
        load=(80, 150), shares={"low": (15, 80), "duplicates": (10, 75)}, stalls=0.5, standby=0.7
    ),
}
_USUAL = {"critical": (0, 35), "low": (0, 40), "duplicates": (0, 30), "retries": (0, 30), "overhead": (5, 45)}
_MISSED = ("trend", "oldest", "critical", "low", "duplicates", "retries", "overhead")


class Storm:
    point = POINT
    epsilon = 4.0
    families = tuple(_FAMILIES)
    held_out = "chatty_senders_at_a_stalled_target"
    rules = """## UCM Storm Spec
- decides: ucm.storm
- fallback: throttle
- passes: when load <= 150% and trend <= -30%: hold
- small: when load <= 115% and queue_fill <= 40%: hold
- the_same: when duplicates >= 20% and duplicates >= retries and duplicates >= overhead: drop_duplicates
- spare: when standby_room >= 20% and standby_room >= retries and standby_room >= overhead: reroute
- again_and_again: when retries >= 20% and retries >= overhead: throttle
- wordy: when overhead >= 25% and overhead >= low: batch
- cheap: when low >= 20%: drop_low
- otherwise: throttle
- never reroute when standby_room is absent
"""

    def ask(self, family: str, random: Random) -> Seen:
        ranges = _FAMILIES[family]
        wait = rounded(between(random, 5, 600))
        stalled = random.random() < ranges.stalls
        facts: dict[str, Any] = {
            "load": float(random.randint(*ranges.load)),
            "trend": float(random.randint(*ranges.trend)),
            "queue_fill": float(random.randint(*ranges.queue_fill)),
            "wait": wait,
            "oldest": rounded(wait * (random.uniform(3.0, 8.0) if stalled else random.uniform(0.7, 1.3))),
        }
        facts |= {name: float(random.randint(*ranges.shares.get(name, usual))) for name, usual in _USUAL.items()}
        facts["standby_room"] = float(random.randint(10, 80)) if random.random() < ranges.standby else None
        if random.random() < 0.08:
            del facts[random.choice(_MISSED)]
        return Seen(facts, tuple(Candidate(action.name) for action in POINT.schema.actions))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        share = _shares(seen.facts, random)
        load = _load(seen.facts, random)
        late = 100 * (0.4 + seen.facts["queue_fill"] / 100) * (1 + 2 * share["critical"])
        return tuple(
            100 - side - late * _too_much(load * (1 - (0.0 if random.random() < _BROKEN else less)))
            for less, side in (_lever(candidate.action, share) for candidate in seen.candidates)
        )


def _shares(facts: Mapping[str, Any], random: Random) -> dict[str, float]:
    """The shares of now, from 0 to 1."""
    seen = {name: facts.get(name, random.uniform(*usual)) / 100 for name, usual in _USUAL.items()}
    seen["standby_room"] = (facts["standby_room"] or 0.0) / 100
    return {name: min(max(random.gauss(share, _SAMPLING), 0.0), 1.0) for name, share in seen.items()}


def _load(facts: Mapping[str, Any], random: Random) -> float:
    """What arrives by what the target takes, while nothing is done."""
    trend = facts.get("trend", random.uniform(-10, 10)) / 100
    wait = max(facts["wait"], 1.0)
    stall = _STALL if facts.get("oldest", wait) > _STALLED * wait else 1.0
    return float(facts["load"] / 100 * (1 + random.gauss(trend, 0.02)) * stall)


def _too_much(load: float) -> float:
    """The share of what arrives that does not fit."""
    return max(0.0, 1 - 1 / load) if load > 0 else 0.0


def _lever(action: str, share: Mapping[str, float]) -> tuple[float, float]:
    """The share of the load that it takes away, and what it costs."""
    match action:
        case "throttle":
            return 0.15 + 0.85 * share["retries"], 8 + 20 * share["critical"]
        case "batch":
            return share["overhead"], 4 + 40 * share["critical"]
        case "drop_low":
            return share["low"], 30 * share["low"]
        case "drop_duplicates":
            return share["duplicates"], 3 + 10 * share["duplicates"]
        case "reroute":
            return share["standby_room"], 8
    return 0.0, 0.0


STORM = Storm()
