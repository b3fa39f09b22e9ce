"""The decision point of alerts."""

from federation.points import DecisionPoint, Does, Due, Mode
from tiki.schema import Action, Arg, Fact, Point, Type

SEVERITIES = ("critical", "warning", "info")
ABOUT = ("node", "gpu", "storage", "network", "job", "elias", "other")
DURATIONS = (3600.0, 4 * 3600.0, 86_400.0)  # seconds, of the silences that are offered

ALERT = DecisionPoint(
    Point(
        name="ufm.alert",
        version=1,
        doc="Alertmanager tells of an alert, or that it is over: is a person asked, is it silenced, or left alone?",
        facts=(
            Fact(name="status", type=Type.NAME, doc="as Alertmanager tells it", values=("firing", "resolved")),
            Fact(name="alert", type=Type.NAME, doc="its name in snake case: `NodeDown` is node_down"),
            Fact(
                name="severity",
                type=Type.NAME,
                doc="its label `severity`; other where that says something else, absent where there is none",
                values=(*SEVERITIES, "other"),
            ),
            Fact(
                name="about",
                type=Type.NAME,
                doc="what it is about, by the words in its name; elias: ELIAS itself",
                values=ABOUT,
            ),
            Fact(name="age", type=Type.DURATION, doc="since it began to fire"),
            Fact(name="firing", type=Type.COUNT, doc="alerts that fire now, this one included"),
            Fact(name="same", type=Type.COUNT, doc="of those, alerts of the same name"),
            Fact(name="node_known", type=Type.FLAG, doc="one of its labels names a node of this cluster"),
            Fact(
                name="node_status",
                type=Type.NAME,
                doc="of that node; absent where none is named",
                values=("up", "drained"),
            ),
            Fact(name="silenced", type=Type.FLAG, doc="ELIAS has silenced it, and the silence has not ended"),
        ),
        actions=(
            Action(
                name="silence",
                doc="silence it in Alertmanager until the time is over; an hour if the rule does not say",
                args=(Arg(name="duration", type=Type.DURATION, doc="1h, 4h or 1d"),),
                undo="unsilence",
            ),
            Action(name="unsilence", doc="end that silence", undo="silence"),
            Action(name="hold", doc="do nothing about it"),
        ),
        terminal="hold",
        titles=("UFM Alert",),
    ),
    events=("elias.alert",),
    # A person's own choice acts; a rule's is confirmed by one, for what is silenced nobody hears of.
    effects={
        "silence": Does("alert.silence", Mode.APPROVE, expires=60.0, disruptive=False),
        "unsilence": Does("alert.unsilence", Mode.APPROVE, expires=60.0, disruptive=False),
    },
    outcome=Due(60.0, "done"),
)
