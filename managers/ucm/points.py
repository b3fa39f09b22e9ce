"""The decision point of the communication manager: what to do with one message that waits to be delivered."""

from federation.points import DecisionPoint, Does, Due, Mode
from tiki.schema import Action, Fact, Point, Setting, Type

PRIORITIES = ("low", "normal", "high", "critical")
FAILURES = ("none", "unreachable", "throttled", "server", "rejected", "lost")

DELIVERY = DecisionPoint(
    Point(
        name="ucm.delivery",
        version=1,
        doc="A message waits for its target: send it, send it again, put it aside as dead, or let it wait?",
        facts=(
            Fact(name="target", type=Type.NAME, doc="name of the target in the settings"),
            Fact(name="priority", type=Type.NAME, doc="as sent", values=PRIORITIES),
            Fact(
                name="behind",
                type=Type.COUNT,
                doc="earlier messages of its target and subject",
            ),
            Fact(name="sending", type=Type.FLAG, doc="an attempt at this message is on its way"),
            Fact(name="attempts", type=Type.COUNT, doc="attempts that came to an end"),
            Fact(name="age", type=Type.DURATION, doc="time since the message was accepted"),
            Fact(name="waited", type=Type.DURATION, doc="time since the last attempt ended; absent before the first"),
            Fact(
                name="backoff",
                type=Type.DURATION,
                doc="how long to wait after the last attempt",
            ),
            Fact(
                name="failure",
                type=Type.NAME,
                doc="how the last attempt failed: unreachable (no answer in time), throttled (408, 425, 429), "
                "server (5xx), rejected (anything else but 2xx), lost (what came of it is not known)",
                values=FAILURES,
            ),
            Fact(name="last_status", type=Type.COUNT, doc="HTTP status of the last attempt"),
            Fact(name="queue_depth", type=Type.COUNT, doc="messages that wait for this target"),
            Fact(name="in_flight", type=Type.COUNT, doc="attempts on their way to this target"),
            Fact(
                name="breaker",
                type=Type.NAME,
                doc="open: the target failed as often as `circuit_breaker` says; half_open: one attempt may tell",
                values=("closed", "open", "half_open"),
            ),
        ),
        actions=(
            Action(name="deliver", doc="send it for the first time"),
            Action(name="retry", doc="send it again, with the same idempotency key"),
            Action(name="dead_letter", doc="put it aside, where a person can see it and send it again"),
            Action(name="hold", doc="let it wait; it is looked at again when something has changed"),
        ),
        terminal="hold",
        settings=(
            Setting(name="max_attempts", type=Type.COUNT, doc="attempts before a message is dead", default="10"),
            Setting(
                name="max_age",
                type=Type.DURATION,
                doc="age at which a message is dead",
                default="1d",
                read_by_manager=True,
            ),
            Setting(
                name="max_in_flight",
                type=Type.COUNT,
                doc="attempts on their way to a target",
                default="16",
                read_by_manager=True,
            ),
            Setting(
                name="backoff_initial",
                type=Type.DURATION,
                doc="wait after the first failure",
                default="1s",
                read_by_manager=True,
            ),
            Setting(
                name="backoff_max",
                type=Type.DURATION,
                doc="the longest wait between two attempts",
                default="5m",
                read_by_manager=True,
            ),
            Setting(
                name="circuit_breaker",
                type=Type.RATE,
                doc="failures that open it",
                default="5_failures_per_minute",
                read_by_manager=True,
            ),
        ),
        titles=("UCM Delivery",),
        trigger="every",
    ),
    events=("elias.message.send", "elias.message.resend"),
    effects={
        "deliver": Does("message.deliver", Mode.ACT, expires=60, disruptive=False),
        "retry": Does("message.deliver", Mode.ACT, expires=60, disruptive=False),
    },
    outcome=Due(120.0, "delivered"),
)

POINTS = (DELIVERY,)
