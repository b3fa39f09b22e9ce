"""Evaluations as tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from managers.uim.cli.output import say, table

if TYPE_CHECKING:
    from training.evaluation.result import AtPoint, Evaluation, Figures, Reached

LANGUAGE = 0.5
"""Share of the probe's items below which a policy knows no language."""

SHARES = ("accuracy", "coverage", "right")
COLUMNS = ("POINT", "WHO", "ACCURACY", "COVERAGE", "ECE", "RIGHT", "REGRET", "MS", "TOKENS")


def show(evaluation: "Evaluation") -> None:
    """With an interval below each figure of the policy."""
    rows: list[tuple[str, ...]] = []
    for name, entry in _entries(evaluation):
        rows.append((name, evaluation.name, *_cells(entry), *_cost(entry)))
        rows.append(("", "95 %", *_reach(entry), "", ""))
        if entry.held_out is not None:
            rows.append(("", "held-out family", *_cells(entry.held_out), "", ""))
        rows += [("", kind.replace("_", " "), *_cells(one), "", "") for kind, one in entry.baselines.items()]
    table(COLUMNS, rows, "no points")
    source = evaluation.source
    print()
    print(f"policy {evaluation.policy[:12]}, questions {source.kind} {source.digest[:12]}; shares in percent")
    if source.kind == "logged":
        _show_logged(evaluation.points)
    if evaluation.kept is not None:
        kept = evaluation.kept
        print(f"general ability: {kept.right:.1%} of the probe right, {kept.chance:.1%} by chance")
        if kept.known < LANGUAGE:
            print(f"its words tell {kept.known:.0%} of the items' endings apart: it has no general ability to lose")


def show_differences(differences: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            one["point"],
            one["figure"],
            one["of"]["before"],
            f"{one['before']:.4g}",
            one["of"]["after"],
            f"{one['after']:.4g}",
            f"{one['difference']:+.3g}",
            f"{one['low']:.3g} to {one['high']:.3g}",
            one["verdict"] or "-",
        )
        for one in differences
    ]
    table(("POINT", "FIGURE", "BEFORE", "", "AFTER", "", "DIFFERENCE", "95 %", "VERDICT"), rows, "nothing in common")


def show_list(found: Sequence[tuple[str, "Evaluation"]]) -> None:
    rows = [
        (
            id_[:12],
            one.at,
            one.name,
            one.policy[:12],
            f"{one.source.kind} {one.source.digest[:12]}",
            str(len(one.points)),
            *_cells(one.overall),
        )
        for id_, one in found
    ]
    columns = ("ID", "AT", "NAME", "POLICY", "QUESTIONS", "POINTS", *COLUMNS[2:7])
    table(columns, rows, "nothing was evaluated yet: `elias evaluate POLICY`")


def show_beside(evaluation: "Evaluation") -> None:
    """What each baseline's regret is more than the policy's."""
    rows: list[tuple[str, ...]] = []
    for name, entry in _entries(evaluation):
        best = "" if entry.best_reachable is None else f"{100 * entry.best_reachable:.1f}"
        rows.append((name, "policy", *_cells(entry), "", best))
        if entry.held_out is not None:
            rows.append(("", "policy, held-out family", *_cells(entry.held_out), "", ""))
        for kind, one in entry.baselines.items():
            low, high = one.regret_saved
            rows.append(("", kind.replace("_", " "), *_cells(one), f"{low:.3g} to {high:.3g}", ""))
    table((*COLUMNS[:7], "SAVED", "BEST"), rows, "no points")
    print()
    print(f"policy {evaluation.policy[:12]}, questions {evaluation.source.digest[:12]}; shares in percent")


def _entries(evaluation: "Evaluation") -> "list[tuple[str, Reached]]":
    return [*evaluation.points.items(), ("overall", evaluation.overall)]


def _show_logged(points: "Mapping[str, AtPoint]") -> None:
    rows: list[tuple[str, ...]] = []
    for name, entry in points.items():
        agreed = ", ".join(f"{tier} {100 * share:.1f}" for tier, share in entry.agreed.items())
        if entry.worth is None:
            rows.append((name, agreed, "", "", "", ""))
            continue
        one = entry.worth
        estimates = (one.logged, one.doubly_robust, one.gain)
        told = (f"{each.value:.4g} ({each.low:.4g} to {each.high:.4g})" for each in estimates)
        rows.append((name, agreed, *told, f"{one.effective:.0f}"))
    print()
    table(("POINT", "AGREES WITH", "LOGGED REWARD", "REWARD", "GAIN", "EFFECTIVE"), rows, "no points")
    for name, entry in points.items():
        if entry.refused is not None:
            say(f"{name}: {entry.refused.reason}\n  cure: {entry.refused.cure}")


def _cells(entry: "Figures") -> tuple[str, ...]:
    right = "none alone" if entry.accuracy is None and entry.questions else _percent(entry.accuracy)
    ece = "" if entry.ece is None else f"{entry.ece:.3f}"
    regret = "" if entry.regret is None else f"{entry.regret:.3g}"
    return right, _percent(entry.coverage), ece, _percent(entry.right), regret


def _reach(entry: "Figures") -> tuple[str, ...]:
    found = []
    for name in ("accuracy", "coverage", "ece", "right", "regret"):
        low, high = entry.intervals.get(name, (None, None))
        scale, digits = (100, ".1f") if name in SHARES else (1, ".3g")
        found.append("" if low is None or high is None else f"{scale * low:{digits}}-{scale * high:{digits}}")
    return tuple(found)


def _cost(entry: "Reached") -> tuple[str, str]:
    took = "" if entry.latency is None else f"{entry.latency.p50:.1f}"
    return took, "" if entry.tokens is None else f"{entry.tokens.mean:.0f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
