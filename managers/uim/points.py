"""The decision point of the user interfaces: an address that keeps sending wrong tokens."""

from federation.points import DecisionPoint, Does, Due, Mode
from tiki.schema import Action, Fact, Point, Setting, Type

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

POINTS = (ACCESS,)
