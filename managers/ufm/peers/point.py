"""The decision point of jobs that find no room here."""

from federation.points import DecisionPoint, Does, Due, Mode
from managers.job import ASKED_FOR
from tiki.schema import Action, Arg, Attribute, Fact, Point, Type

_PEER = ("forward",)

FORWARD = DecisionPoint(
    Point(
        name="ufm.forward",
        version=1,
        doc="Does a job that waits for room here go to another cluster? Asked for jobs that may run anywhere, whenever "
        "a peer has room for one.",
        facts=(
            Fact(name="peers", type=Type.COUNT, doc="peers that have room for it, told lately; counted here"),
            Fact(name="feasible", type=Type.COUNT, doc="nodes here that it fits now"),
            Fact(name="hops", type=Type.COUNT, doc="clusters that it has come by; 0: it was submitted here"),
            *ASKED_FOR,
        ),
        actions=(
            Action(
                name="forward",
                doc="have the peer run it",
                args=(Arg(name="peer", type=Type.NAME, doc="which of the clusters that the settings name"),),
            ),
            Action(name="wait", doc="leave it waiting here"),
        ),
        attributes=(
            Attribute(name="target.rooms", type=Type.COUNT, doc="nodes there that it fits", actions=_PEER),
            Attribute(name="target.age", type=Type.DURATION, doc="since the peer told so", actions=_PEER),
            Attribute(name="target.sent", type=Type.COUNT, doc="jobs of ours that are there", actions=_PEER),
        ),
        terminal="wait",
        titles=("UFM Forward",),
        trigger="every",
    ),
    events=("elias.job.unplaced",),
    effects={"forward": Does("job.forward", Mode.ACT, expires=60.0, disruptive=False)},
    outcome=Due(86400.0, "completed jobs"),
    interferes=True,
)
