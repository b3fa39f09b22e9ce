"""The decision points of the learning manager: what is worth a suggestion, what is optimised first, and when a policy
is calibrated anew.
"""

from federation.points import DecisionPoint, Does, Due, Mode
from managers.ulm.promotion import PROMOTION
from managers.ulm.training_points import POINTS as TRAINING
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type

FINDINGS = ("anomaly", "drift", "regression")

ADVICE = {
    "look_at_spike": "Look at what happened: the values are far from what this series does.",
    "look_at_level": "Look at what changed: the level of this series has moved and stays there.",
    "look_at_slowdown": "Compare the two versions in a profiler: the current one is slower.",
    "move_allocation_outside_loop": "Move allocation outside loop.",
    "batch_async_calls": "Batch the asynchronous calls.",
    "pool_connections": "Open the connections once and take them from a pool.",
    "cache_repeated_work": "Keep the result of the repeated work in a cache.",
}

PATTERNS = {
    "memory_allocation_in_loop": "move_allocation_outside_loop",
    "many_async_calls": "batch_async_calls",
    "connection_per_request": "pool_connections",
    "repeated_validation": "cache_repeated_work",
}

SUGGESTION = DecisionPoint(
    Point(
        name="ulm.suggestion",
        version=1,
        doc="Is this finding worth a suggestion? Asked of each finding in a series of figures and of each measured "
        "component. The answer is the suggestion; nothing else is done.",
        facts=(
            Fact(name="finding", type=Type.NAME, doc="what was noticed", values=FINDINGS),
            Fact(name="confidence", type=Type.PERCENT, doc="that it is no chance; unknown with too few samples"),
            Fact(
                name="score",
                type=Type.NUMBER,
                doc="how far from usual, in robust standard deviations; absent for a regression",
            ),
            Fact(
                name="magnitude",
                type=Type.PERCENT,
                doc="how much slower it is, or how far the level moved either way; absent where it was 0 before",
            ),
            Fact(name="samples", type=Type.COUNT, doc="samples that it rests on"),
            Fact(name="duration", type=Type.DURATION, doc="for how long it has lasted; absent for a regression"),
            Fact(name="kind", type=Type.NAME, doc="what the series measures, such as cpu; component for a regression"),
            Fact(name="stage", type=Type.COUNT, doc="stage of the component that was measured; absent for a series"),
            Fact(
                name="pattern",
                type=Type.NAME,
                doc="what was seen in the component's code; absent without",
                values=tuple(PATTERNS),
            ),
        ),
        settings=(
            Setting(name="min_confidence", type=Type.PERCENT, doc="below it nothing is suggested", default="80%"),
            Setting(
                name="min_slowdown", type=Type.PERCENT, doc="a component that lost less is left alone", default="20%"
            ),
            Setting(name="min_shift", type=Type.PERCENT, doc="a level that moved by less is left alone", default="20%"),
            Setting(
                name="repeat_after",
                type=Type.DURATION,
                doc="how long the same is not suggested again about a series",
                default="7d",
                read_by_manager=True,
            ),
        ),
        actions=(
            Action(
                name="suggest",
                doc="show the suggestion to whoever operates the cluster",
                args=(Arg(name="what", type=Type.NAME, doc="the suggestion", values=tuple(ADVICE)),),
            ),
            Action(name="hold", doc="say nothing"),
        ),
        terminal="hold",
        titles=("ULM Suggestion",),
        trigger="every",
    ),
    events=("elias.component.measured", "elias.series.finding"),
    outcome=Due(86400.0, "useful suggestions"),
)

OPTIMISATIONS = (*PATTERNS.values(), "upgrade_dependency")
"""What can be done about a slow component."""

OPTIMISATION = DecisionPoint(
    Point(
        name="ulm.optimisation",
        version=1,
        doc="What about this slow component (the subject) is optimised first? Asked when an event brings a profile "
        "with the possibilities. The answer is on record; nothing is done about it by itself.",
        facts=(
            Fact(name="slowdown", type=Type.PERCENT, doc="how much slower it is than what it is compared with"),
            Fact(
                name="share",
                type=Type.PERCENT,
                doc="of the time of all that it is part of: what is spent in it",
                minimum=0,
                maximum=100,
            ),
            Fact(
                name="pattern",
                type=Type.NAME,
                doc="what was seen in the component's code; absent without",
                values=tuple(PATTERNS),
            ),
            Fact(
                name="tested",
                type=Type.PERCENT,
                doc="of its code: what tests run",
                minimum=0,
                maximum=100,
            ),
            Fact(name="samples", type=Type.COUNT, doc="samples that the profile rests on"),
            Fact(name="possibilities", type=Type.COUNT, doc="optimisations to choose from"),
        ),
        settings=(
            Setting(name="min_slowdown", type=Type.PERCENT, doc="what lost less is left alone", default="10%"),
            Setting(
                name="min_share", type=Type.PERCENT, doc="what takes less of the whole is left alone", default="5%"
            ),
            Setting(name="max_risk", type=Type.PERCENT, doc="what breaks more often is not tried", default="60%"),
        ),
        actions=(
            Action(
                name="optimise",
                doc="do this first",
                args=(Arg(name="what", type=Type.NAME, doc="the optimisation", values=OPTIMISATIONS),),
            ),
            Action(name="hold", doc="leave the component as it is"),
        ),
        attributes=tuple(
            Attribute(name=name, type=type_, doc=doc, actions=("optimise",), minimum=0, maximum=most)
            for name, type_, doc, most in (
                ("change.gain", Type.PERCENT, "of the component's time: what it is expected to save", 100),
                ("change.confidence", Type.PERCENT, "that what it is expected to save is no chance", 100),
                ("change.effort", Type.DURATION, "working time that it takes", None),
                ("change.risk", Type.PERCENT, "how often such a change broke something", 100),
            )
        ),
        terminal="hold",
        titles=("ULM Optimisation",),
        trigger="every",
    ),
    events=("elias.component.profiled",),
    outcome=Due(604800.0, "hours saved", bounds=(-100.0, 150.0)),
)

CALIBRATION = DecisionPoint(
    Point(
        name="ulm.calibration",
        version=1,
        doc="Checks have shown that a policy breaks its promise at a decision point; it decides nothing alone there. "
        "Is it calibrated anew by what was answered since? Asked every minute of each such point and policy.",
        facts=(
            Fact(name="answers", type=Type.COUNT, doc="questions since then that the tier above the policy answered"),
            Fact(name="fresh", type=Type.COUNT, doc="of these: since the last calibration"),
            Fact(name="checked", type=Type.COUNT, doc="answers of the policy that were checked until it broke"),
            Fact(name="wrong", type=Type.COUNT, doc="of these: wrong ones"),
            Fact(
                name="calibrations",
                type=Type.COUNT,
                doc="of this policy at this point so far; each further one has to be surer than the last",
            ),
            Fact(name="waited", type=Type.DURATION, doc="since the promise was taken for broken"),
        ),
        settings=(
            Setting(
                name="min_answers",
                type=Type.COUNT,
                doc="fresh answers that a calibration needs; half of them are fitted on, half tested on",
                default="400",
            ),
        ),
        actions=(
            Action(
                name="recalibrate",
                doc="fit and test a calibration on the answers, and put it in force; the policy decides alone again "
                "where they show that it may",
            ),
            Action(name="hold", doc="wait for more answers"),
        ),
        terminal="hold",
        titles=("ULM Calibration",),
    ),
    events=("elias.policy.lapsed",),
    effects={"recalibrate": Does("ulm.calibration", Mode.OBSERVE, expires=60, disruptive=False)},
    outcome=Due(60.0, "done"),
)

POINTS = (SUGGESTION, OPTIMISATION, CALIBRATION, PROMOTION, *TRAINING)
