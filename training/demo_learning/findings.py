"""What the demonstration of learning has found, and what it promises."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

NOTICED_WITHIN = 4000
"""Decisions after the change within which the audit has to notice it."""

FALLS_BY = 30.0
"""Percent by which the regret has to fall."""

MAX_ERROR = 0.05
"""What the spec of the point asks for."""


class Step(NamedTuple):
    """Of a trial. by: `ulm.promotion`, or the name of a person."""

    stage: str
    share: float
    by: str
    at: float

    @property
    def name(self) -> str:
        return f"{self.stage} {100 * self.share:.0f} %" if self.stage == "canary" else self.stage.replace("_", " ")


class Regret(NamedTuple):
    """Means over fresh questions; saved, ahead: 95 % intervals of what the new policy saves against the one before, and
    against the trees."""

    before: float
    after: float
    trees: float
    saved: tuple[float, float]
    ahead: tuple[float, float]

    @property
    def falls(self) -> float:
        """Percent."""
        return 100 * (1 - self.after / self.before)


class Found(msgspec.Struct):
    """Shares are of 0 to 1. quiet, changed, broken, after: questions that went up a tier: before the change, between it
    and the drift record, until the new policy was registered, and once it was promoted. noticed: decisions between
    change and record. alone, wrong: of fresh questions, what the new policy decides alone, and of these the wrong
    ones. own, foul: the steps of both trials. seconds: all of it."""

    seed: int
    decisions: int = 0
    quiet: float = 0.0
    changed: float = 0.0
    broken: float = 0.0
    after: float = 1.0
    noticed: int | None = None
    checked: int = 0
    mistaken: int = 0
    objective: str = ""
    examples: int = 0
    training: float = 0.0
    own: list[Step] = []
    foul: list[Step] = []
    regret: Regret | None = None
    alone: float = 0.0
    wrong: float = 1.0
    seconds: float = 0.0


class Promise(NamedTuple):
    what: str
    kept: bool
    figures: str


def promises(found: Found) -> Iterator[Promise]:
    own, foul = [step.name for step in found.own], [step.name for step in found.foul]
    noticed = "not at all" if found.noticed is None else f"after {found.noticed} decisions"
    yield Promise(
        f"the audit notices a broken promise within {NOTICED_WITHIN} decisions",
        found.noticed is not None and found.noticed <= NOTICED_WITHIN,
        f"{noticed}: {found.mistaken} of {found.checked} answers checked were wrong",
    )
    yield Promise(
        "it trains by GRPO from what was decided, by itself",
        found.objective == "grpo" and found.examples > 0,
        f"{found.objective or 'nothing'} on {found.examples} decisions in {found.training:.0f} s",
    )
    yield Promise(
        "the challenger passes shadow and canary and is promoted, each step decided by ulm.promotion",
        own[:2] == ["shadow", "canary 5 %"] and own[-1:] == ["champion"] and _by_itself(found.own),
        ", ".join(own) or "no step",
    )
    regret = found.regret
    yield Promise(
        f"regret on fresh questions falls by {FALLS_BY:.0f} % or more",
        regret is not None and regret.falls >= FALLS_BY and regret.saved[0] > 0,
        "not measured" if regret is None else f"{regret.before:.4f} to {regret.after:.4f}, by {regret.falls:.0f} %",
    )
    yield Promise(
        "fewer questions go up a tier than before the new policy",
        found.after < found.broken,
        f"{found.quiet:.1%} before the change, {found.broken:.1%} after it was noticed, {found.after:.1%} now",
    )
    yield Promise(
        f"the new calibration holds: at most {MAX_ERROR:.0%} of what it decides alone is wrong",
        found.alone > 0 and found.wrong <= MAX_ERROR,
        f"{found.alone:.1%} decided alone, {found.wrong:.1%} of them wrong",
    )
    yield Promise(
        "a challenger that was trained on shuffled labels comes no further than the first step of a canary",
        foul[-1:] == ["rolled back"] and set(foul[:-1]) <= {"shadow", "canary 5 %"} and _by_itself(found.foul),
        ", ".join(foul) or "no step",
    )


def _by_itself(steps: list[Step]) -> bool:
    return all(step.by == "ulm.promotion" for step in steps)


def rows(found: Found) -> list[tuple[str, str, str]]:
    """A table: what, its figure, its 95 % interval."""
    regret = found.regret
    said = [
        ("questions that go up a tier, before the change", f"{found.quiet:.1%}", ""),
        ("the same, once the change was noticed", f"{found.broken:.1%}", ""),
        ("the same, with the new policy", f"{found.after:.1%}", ""),
    ]
    if regret is not None:
        said += [
            ("regret in the changed world, policy before", f"{regret.before:.4f}", ""),
            ("the same, policy after", f"{regret.after:.4f}", _between(regret.saved, "saves")),
            (
                "the same, trees refitted on the same decisions",
                f"{regret.trees:.4f}",
                _between(regret.ahead, "policy saves"),
            ),
        ]
    return [
        *said,
        ("fresh questions that it decides alone", f"{found.alone:.1%}", ""),
        ("of these wrong", f"{found.wrong:.1%}", f"at most {MAX_ERROR:.0%} is promised"),
    ]


def _between(bounds: tuple[float, float], what: str) -> str:
    return f"{what} {bounds[0]:.4f} to {bounds[1]:.4f}"
