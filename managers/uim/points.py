"""The decision points of the user interfaces: an address that keeps sending wrong tokens, how far a new version of a
component goes, and the restart of a machine.
"""

from federation.points import DecisionPoint, Does, Due, Mode
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type

ACCESS = DecisionPoint(
    Point(
        name="uim.access",
        version=1,
        doc="An address sent wrong tokens. Shall it still be listened to?",
        facts=(
            Fact(name="failures", type=Type.RATE, doc="wrong tokens from this address over the last minute"),
            Fact(name="blocked", type=Type.FLAG, doc="whether the address is blocked now"),
            Fact(name="loopback", type=Type.FLAG, doc="whether the address is this machine itself"),
        ),
        actions=(
            Action(name="block", doc="answer nothing from this address but 403", undo="unblock"),
            Action(name="unblock", doc="listen to this address again", undo="block"),
            Action(name="hold", doc="leave it as it is"),
        ),
        terminal="hold",
        settings=(
            Setting(
                name="block_at",
                type=Type.RATE,
                default="10_failures_per_minute",
                doc="so many wrong tokens are an attack, not a typing error",
            ),
        ),
        titles=("UIM Access",),
    ),
    events=("elias.access.failed",),
    effects={
        "block": Does("uim.access", Mode.OBSERVE, expires=60, disruptive=True),
        "unblock": Does("uim.access", Mode.OBSERVE, expires=60, disruptive=False),
    },
    outcome=Due(60.0, "done"),
)

STEPS = (5.0, 25.0, 50.0, 100.0)  # shares of the traffic, in percent, to which a new version may be taken

ROLLOUT = DecisionPoint(
    Point(
        name="uim.rollout",
        version=1,
        doc="A new version of a component runs beside the old one. How much of the traffic does it get? The answer is "
        "the decision, nothing else is done.",
        facts=(
            Fact(
                name="change",
                type=Type.NAME,
                doc="what the new version is",
                values=("fix", "feature", "rewrite"),
            ),
            Fact(
                name="share",
                type=Type.PERCENT,
                doc="of the traffic that the new version gets now",
                minimum=0,
                maximum=100,
            ),
            Fact(
                name="errors",
                type=Type.PERCENT,
                doc="requests to the new version that failed",
                minimum=0,
                maximum=100,
            ),
            Fact(
                name="errors_before",
                type=Type.PERCENT,
                doc="requests to the old version that failed",
                minimum=0,
                maximum=100,
            ),
            Fact(name="latency", type=Type.DURATION, doc="of the new version, 95th percentile"),
            Fact(name="latency_before", type=Type.DURATION, doc="of the old version, 95th percentile"),
            Fact(name="requests", type=Type.COUNT, doc="that the new version has answered"),
            Fact(name="elapsed", type=Type.DURATION, doc="since the share was last changed"),
            Fact(
                name="load",
                type=Type.PERCENT,
                doc="of the machines that serve both versions",
                minimum=0,
                maximum=100,
            ),
            Fact(name="dependents", type=Type.COUNT, doc="components that call this one"),
            Fact(
                name="reversible",
                type=Type.FLAG,
                doc="the old version can read what the new one has written",
            ),
        ),
        actions=(
            Action(
                name="advance",
                doc="give the new version this share: 5%, 25%, 50% or 100%",
                args=(Arg(name="share", type=Type.PERCENT, doc="of the traffic"),),
                undo="roll_back",
            ),
            Action(name="roll_back", doc="give all traffic to the old version"),
            Action(name="hold", doc="leave the share as it is and go on looking"),
        ),
        attributes=(
            Attribute(
                name="target.share",
                type=Type.PERCENT,
                doc="of the traffic that the new version would get",
                actions=("advance",),
                minimum=0,
                maximum=100,
            ),
        ),
        terminal="hold",
        titles=("UIM Rollout",),
        trigger="every",
    ),
    events=("elias.component.rollout",),
    outcome=Due(3600.0, "requests of 100", bounds=(-100.0, 10.0)),
)

RESTART = DecisionPoint(
    Point(
        name="uim.restart",
        version=1,
        doc="A person orders that the ELIAS of a machine is started anew, with what is installed there by now. Now?",
        facts=(
            Fact(name="head", type=Type.FLAG, doc="whether it is the head of the cluster"),
            Fact(name="jobs", type=Type.COUNT, doc="jobs that run on it; of the head, those of all nodes"),
        ),
        actions=(
            Action(name="restart", doc="have the machine end its jobs, leave, and join again"),
            Action(name="hold", doc="leave it as it is"),
        ),
        terminal="hold",
        titles=("UIM Restart",),
        trigger="every",
    ),
    events=("elias.node.restart",),
    # A person orders each of them, and one after the other: no brake and no cap for what is disruptive is in the way.
    effects={"restart": Does("node.restart", Mode.ACT, expires=60, disruptive=False)},
    interferes=True,
)

POINTS = (ACCESS, ROLLOUT, RESTART)
