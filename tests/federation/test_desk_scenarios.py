"""What a scenario of a spec says is decided is what the desk of a manager decides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.desk import Desk
from federation.records import Event, Kind, Record, decode
from federation.settings import Settings
from tests.federation.lab import SPEC, Lab, bundle
from tiki import Source, testing
from tiki.diagnostics import Report

TEMPORAL = SPEC.replace(
    "- too_hot: when heat > 90%: cool(gently)",
    "- too_hot: when heat > 90% for 20s, clear at 80%, cooldown 1m: cool(gently)\n- low: when gas < 10% for 15s: vent",
)
SECOND = 1_000_000_000

heats = st.sampled_from(["50%", "75%", "85%", "95%", "unknown", "absent"])
gases = st.sampled_from(["5%", "50%", "absent", "unknown"])
guards = st.lists(
    st.sampled_from(
        [
            "- never cool when gas < 10%",
            "- never cool when heat > 80% and gas is absent",
            "- never vent when heat > 70%",
            "- never vent when heat > 70% or window.wind > 20",
        ]
    ),
    max_size=3,
    unique=True,
)
fallbacks = st.sampled_from(["request_operator", "hold", "vent", "cool"])
steps = st.lists(st.tuples(heats, gases), min_size=1, max_size=20)
intervals = st.sampled_from([5, 10, 20, 40])


class Blank:
    """A ledger on which nothing was written yet."""

    def known(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {}

    def decision(self, decision: str) -> list[Record]:
        return []


@settings(max_examples=150, deadline=None)
@given(steps, intervals, guards, fallbacks)
def test_at_every_moment_the_desk_decides_what_a_scenario_does(
    samples: list[tuple[str, str]], every: int, forbidding: list[str], fallback: str
) -> None:
    furnace = TEMPORAL.replace("fallback: request_operator", "\n".join([f"fallback: {fallback}", *forbidding]), 1)
    in_force = bundle(furnace)
    text = "\n".join(
        [
            *("- decides: lab.furnace", "## Scenario: any"),
            f"- load {every}s: heat {' '.join(h for h, _ in samples)}, gas {' '.join(g for _, g in samples)}",
            f"- from 0s to {every * len(samples)}s: hold",
        ]
    )
    report = Report()
    (plot,) = testing.plots([Source("any_test.tiki", text)], in_force, report)
    assert not report.found
    moments = [checked.moment for checked in testing.run(plot).checked]

    desk = Desk(Lab(Settings(state=Path())), in_force, Blank())
    for step, (heat, gas) in enumerate(samples):
        written = {"heat": heat, "gas": gas}
        data = {name: None if text == "absent" else text for name, text in written.items() if text != "unknown"}
        event = Event(str(step), "test", "lab.measured", "f1", None, data)
        (entry, *_), ((reply,),) = desk.handle([event], step * every * SECOND)
        asked = decode(Kind.ASKED, entry.body)
        moment = moments[step]
        verdict = moment.trace.verdict
        assert tuple(asked.held) == moment.trace.held
        assert reply.clause == verdict.clause
        assert reply.reason.startswith("in force since") is not moment.fired
        outcome = moment.trace.outcome
        if moment.fired and outcome.action is not None:
            assert (reply.action, reply.status) == (outcome.action, "answered")
        if moment.fired and outcome.action is None:
            assert reply.status == "waiting"
        expected, _ = plot.program.latch(asked.latch, verdict, asked.at)
        assert asked.latched == expected
