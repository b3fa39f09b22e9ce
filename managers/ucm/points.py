"""The decision points of the communication manager: one message that waits, a storm of them, and a workflow's step."""

from federation.points import DecisionPoint, Does, Due, Mode
from federation.targets import PRIORITIES
from tiki.schema import Action, Fact, Point, Setting, Type

FAILURES = ("none", "unreachable", "throttled", "server", "rejected", "lost")
STEPS = ("validate_resources", "query_nodes", "deploy", "monitor")
TROUBLES = ("late", "failed")
ERRORS = ("no_answer", "unreachable", "conflict", "exhausted", "refused")

DELIVERY = DecisionPoint(
    Point(
        name="ucm.delivery",
        version=2,
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
            Fact(
                name="age",
                type=Type.DURATION,
                doc="time since the message was accepted, or since the quiet hours ended in which it was",
            ),
            Fact(name="quiet", type=Type.FLAG, doc="its target has quiet hours that its priority does not pass"),
            Fact(name="waited", type=Type.DURATION, doc="time since the last attempt ended; absent before the first"),
            Fact(
                name="backoff",
                type=Type.DURATION,
                doc="how long to wait after the last attempt",
            ),
            Fact(
                name="failure",
                type=Type.NAME,
                doc="how the last attempt failed: unreachable (no answer in time), throttled (HTTP 408, 425, 429; SMTP "
                "4yz), server (HTTP 5xx, SMTP 421), rejected (anything else), lost (what came of it is not known)",
                values=FAILURES,
            ),
            Fact(name="last_status", type=Type.COUNT, doc="status of the last attempt, of HTTP or SMTP"),
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


def _share(name: str, doc: str) -> Fact:
    return Fact(name=name, type=Type.PERCENT, doc=doc, minimum=0, maximum=100)


STORM = DecisionPoint(
    Point(
        name="ucm.storm",
        version=1,
        doc="Messages pour in for a target (the subject) faster than it takes them: what is done? Asked when an event "
        "reports a storm. The answer is on record; nothing is done about it by itself.",
        facts=(
            Fact(
                name="load",
                type=Type.PERCENT,
                doc="what arrives, of what the target was seen to take: above 100 % the queue grows",
                minimum=0,
            ),
            Fact(name="trend", type=Type.PERCENT, doc="change of the load that is under way: -50 % halves it"),
            _share("queue_fill", "messages that wait, of those that may"),
            Fact(
                name="wait",
                type=Type.DURATION,
                doc="how long the newest message has to wait: what waits, by what the target was seen to take",
            ),
            Fact(name="oldest", type=Type.DURATION, doc="age of the oldest message that waits"),
            _share("critical", "of what arrives: critical messages"),
            _share("low", "of what arrives: messages of low priority"),
            _share("duplicates", "of what arrives: messages that repeat one that waits"),
            _share("retries", "of what arrives: messages that their sender sent before"),
            _share("overhead", "of the target's time: what a request costs whatever it carries, which batches save"),
            _share("standby_room", "of what arrives: what a standby target can take; absent without one"),
        ),
        settings=(
            Setting(name="calm_load", type=Type.PERCENT, doc="a load up to here is no storm", default="90%"),
            Setting(name="calm_age", type=Type.DURATION, doc="what waits no longer is in time", default="30s"),
            Setting(name="full", type=Type.PERCENT, doc="from here on the queue counts as full", default="98%"),
        ),
        actions=(
            Action(name="throttle", doc="tell the senders to slow down and not to try again for a while"),
            Action(name="batch", doc="send what waits in batches"),
            Action(name="drop_low", doc="drop what arrives with low priority"),
            Action(name="drop_duplicates", doc="drop what repeats a message that waits"),
            Action(name="reroute", doc="send to the standby target what it has room for"),
            Action(name="hold", doc="do nothing: the queue takes it up"),
        ),
        terminal="hold",
        titles=("UCM Storm",),
        trigger="every",
    ),
    events=("elias.message.storm",),
    outcome=Due(600.0, "percent of the messages' worth", bounds=(-100.0, 100.0)),
)

COORDINATION = DecisionPoint(
    Point(
        name="ucm.coordination",
        version=1,
        doc="A step of a workflow over several managers (the subject) failed or is late: what becomes of the "
        "workflow? Asked when an event reports the step. The answer is on record; nothing is done about it by itself.",
        facts=(
            Fact(name="step", type=Type.NAME, doc="what the step does", values=STEPS),
            Fact(name="trouble", type=Type.NAME, doc="it has no answer yet, or it failed", values=TROUBLES),
            Fact(name="error", type=Type.NAME, doc="how it failed; absent while it is only late", values=ERRORS),
            Fact(name="attempts", type=Type.COUNT, doc="tries at this step so far"),
            Fact(
                name="elapsed",
                type=Type.PERCENT,
                doc="time since the last try began, of the step's time-out",
                minimum=0,
            ),
            _share("recovers", "how often another try helped in earlier runs"),
            Fact(name="idempotent", type=Type.FLAG, doc="doing the step twice does no more than doing it once"),
            _share("reached", "nodes on which the step is done"),
            _share("deployed", "nodes that run what the workflow brings"),
            _share("reversible", "what is deployed that can be taken back cleanly"),
            Fact(name="dependents", type=Type.COUNT, doc="other workflows that wait for this one"),
        ),
        settings=(
            Setting(name="patience", type=Type.PERCENT, doc="a step is late from here on", default="100%"),
            Setting(name="enough", type=Type.PERCENT, doc="nodes with which a step is done", default="99%"),
            Setting(name="max_attempts", type=Type.COUNT, doc="tries at one step", default="6"),
        ),
        actions=(
            Action(name="proceed", doc="go on with the nodes that have it"),
            Action(name="retry_step", doc="do the step again, on all nodes"),
            Action(name="roll_back", doc="take back what the workflow did, and end it"),
            Action(name="hold", doc="wait: for the step if it is late, else for a person"),
        ),
        terminal="hold",
        titles=("UCM Coordination",),
        trigger="every",
    ),
    events=("elias.workflow.step",),
    outcome=Due(3600.0, "minutes lost", bounds=(-240.0, 0.0)),
)

POINTS = (DELIVERY, STORM, COORDINATION)
