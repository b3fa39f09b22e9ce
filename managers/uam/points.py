"""The decision point of the application manager: what to do about one instance of a declared application."""

from math import inf

from federation.points import DecisionPoint, Does, Due, Mode
from tiki.schema import Action, Fact, Point, Setting, Type

FRESH = 30.0  # seconds: a node that has not reported for longer says nothing about its processes

RESTART = DecisionPoint(
    Point(
        name="uam.restart",
        version=2,
        doc="One instance of an application is looked at: start it, restart it, stop it or leave it?",
        facts=(
            Fact(
                name="status",
                type=Type.NAME,
                doc="missing: its node knows nothing of it; unhealthy: it runs, and its last check failed",
                values=("missing", "running", "exited", "unhealthy"),
                max_age=FRESH,
            ),
            Fact(
                name="wanted",
                type=Type.NAME,
                doc="replaced: it was declared anew since its start; stopped: by a person, or declared no more",
                values=("running", "replaced", "stopped"),
            ),
            Fact(
                name="request",
                type=Type.NAME,
                doc="what a person asks for with this event; absent where nobody does",
                values=("start", "restart", "stop"),
            ),
            Fact(
                name="restart_type",
                type=Type.NAME,
                doc="permanent: always restarted; transient: unless it ended with 0; temporary: never",
                values=("permanent", "transient", "temporary"),
            ),
            Fact(
                name="exit_code",
                type=Type.COUNT,
                doc="-9 for signal 9; absent while it runs or if not known",
                minimum=-inf,
            ),
            Fact(name="restarts", type=Type.COUNT, doc="restarts within `restart_window`"),
            Fact(name="uptime", type=Type.DURATION, doc="how long it has run, or ran until it ended"),
            Fact(
                name="waited",
                type=Type.DURATION,
                doc="time since its end; absent while it runs",
            ),
            Fact(
                name="backoff",
                type=Type.DURATION,
                doc="how long to wait after its end",
            ),
            Fact(
                name="failed_checks",
                type=Type.COUNT,
                doc="in a row; absent without a check",
            ),
            Fact(
                name="memory", type=Type.BYTES, doc="resident memory of the process; when last seen where it has ended"
            ),
            Fact(
                name="memory_used",
                type=Type.PERCENT,
                doc="share of what it may use; absent where its declaration does not say how much",
                max_age=FRESH,
            ),
            Fact(name="priority", type=Type.COUNT, doc="as declared; higher matters more", minimum=-inf),
            Fact(
                name="sibling_failed",
                type=Type.FLAG,
                doc="its group restarts with a member",
            ),
            Fact(name="declared_for", type=Type.DURATION, doc="time since its declaration changed last"),
            Fact(name="others_failing", type=Type.COUNT, doc="other instances with a restart within `restart_window`"),
        ),
        actions=(
            Action(name="start", doc="start it for the first time", undo="stop"),
            Action(name="restart", doc="end what still runs of it and start it again"),
            Action(name="stop", doc="end it: its stop signal first, then by force after its grace", undo="start"),
            Action(name="give_up", doc="leave it down until it is declared anew or a person asks for it"),
            Action(name="hold", doc="leave it as it is"),
        ),
        terminal="hold",
        settings=(
            Setting(
                name="max_restarts",
                type=Type.COUNT,
                doc="restarts before a person is asked",
                default="5",
            ),
            Setting(
                name="restart_window",
                type=Type.DURATION,
                doc="window in which restarts count",
                default="5m",
                read_by_manager=True,
            ),
            Setting(
                name="backoff_initial",
                type=Type.DURATION,
                doc="wait before the second restart",
                default="1s",
                read_by_manager=True,
            ),
            Setting(
                name="backoff_max",
                type=Type.DURATION,
                doc="the longest wait before a restart",
                default="1m",
                read_by_manager=True,
            ),
            Setting(
                name="failure_threshold",
                type=Type.COUNT,
                doc="failed checks before a restart",
                default="3_consecutive",
            ),
        ),
        titles=("UAM Restart",),
        trigger="every",
    ),
    events=("elias.app.observed", "elias.app.request"),
    effects={
        "start": Does("process.start", Mode.ACT, expires=30, disruptive=False),
        "restart": Does("process.start", Mode.ACT, expires=30, disruptive=False),
        "stop": Does("process.stop", Mode.ACT, expires=30, disruptive=False),
    },
    outcome=Due(60.0, "running", bounds=(-1.0, 2.0)),
)

POINTS = (RESTART,)
