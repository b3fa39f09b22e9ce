"""The decision points of the federation manager: where a job runs, where a request goes, whether a node is fit to
work, and which node takes a task. That of alerts is in `alert_point`, that of other clusters in `peers.point`.
"""

from federation.points import DecisionPoint, Does, Due, Mode
from managers.job import ASKED_FOR
from managers.ufm.alert_point import ALERT
from managers.ufm.peers.point import FORWARD
from managers.ufm.prometheus.facts import FACTS
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type

_ALGORITHMS = (
    "best_fit",
    "consistent_hashing",
    "dot_product",
    "fgd",
    "gpu_clustering",
    "gpu_packing",
    "least_loaded",
    "power_of_two_choices",
    "random",
)
_ALGORITHM = "how nodes are ranked: see docs/placement.md"

PLACEMENT = DecisionPoint(
    Point(
        name="ufm.placement",
        version=1,
        doc="Which node runs this job? Asked for every job that was admitted, and again when room appears.",
        facts=(
            Fact(name="feasible", type=Type.COUNT, doc="nodes that the job fits now"),
            *ASKED_FOR,
        ),
        settings=(
            Setting(
                name="algorithm",
                type=Type.NAME,
                doc=_ALGORITHM,
                default="fgd",
                values=_ALGORITHMS,
                read_by_manager=True,
            ),
        ),
        actions=(
            Action(
                name="place",
                doc="run the job on this node",
                args=(
                    Arg(name="node", type=Type.NAME, doc="where"),
                    Arg(name="gpus", type=Type.LIST, doc="which of its GPUs"),
                ),
            ),
            Action(name="hold", doc="leave the job waiting until there is room"),
        ),
        attributes=(
            Attribute(
                name="target.cpu_free", type=Type.NUMBER, doc="cores not reserved on the node", actions=("place",)
            ),
            Attribute(
                name="target.memory_free", type=Type.BYTES, doc="memory not reserved on the node", actions=("place",)
            ),
            Attribute(
                name="target.gpu_free", type=Type.NUMBER, doc="GPUs not reserved on the node", actions=("place",)
            ),
            Attribute(name="job.gpu", type=Type.NUMBER, doc="GPUs that the job takes", actions=("place",)),
        ),
        terminal="hold",
        titles=("UFM Placement",),
        trigger="every",
    ),
    events=("elias.job.placement",),
    effects={"place": Does("job.start", Mode.ACT, expires=60.0, disruptive=False)},
    outcome=Due(86400.0, "completed jobs"),
    interferes=True,
)

ROUTING = DecisionPoint(
    Point(
        name="ufm.routing",
        version=1,
        doc="Which node serves this request? The answer is the decision; nothing else is done.",
        facts=(
            Fact(name="nodes", type=Type.COUNT, doc="nodes that can serve now"),
            Fact(name="gpus", type=Type.COUNT, doc="GPUs that the serving node must have free"),
            Fact(name="memory", type=Type.BYTES, doc="memory that the serving node must have free"),
        ),
        settings=(
            Setting(
                name="algorithm",
                type=Type.NAME,
                doc=_ALGORITHM,
                default="consistent_hashing",
                values=_ALGORITHMS,
                read_by_manager=True,
            ),
        ),
        actions=(
            Action(
                name="route", doc="send the request to this node", args=(Arg(name="node", type=Type.NAME, doc="where"),)
            ),
            Action(name="hold", doc="send it nowhere"),
        ),
        attributes=(
            Attribute(
                name="target.cpu_free", type=Type.NUMBER, doc="cores not reserved on the node", actions=("route",)
            ),
            Attribute(
                name="target.memory_free", type=Type.BYTES, doc="memory not reserved on the node", actions=("route",)
            ),
            Attribute(
                name="target.gpu_free", type=Type.NUMBER, doc="GPUs not reserved on the node", actions=("route",)
            ),
        ),
        terminal="hold",
        titles=("UFM Load Balancing", "UFM Routing"),
        trigger="every",
    ),
    events=("elias.request.route",),
    interferes=True,
)

NODE_HEALTH = DecisionPoint(
    Point(
        name="ufm.node_health",
        version=2,
        doc="Is this node fit to work? Asked at every health check; answered on record when the answer changes.",
        facts=(
            Fact(name="status", type=Type.NAME, doc="what the node is now", values=("up", "drained")),
            Fact(name="missed", type=Type.COUNT, doc="consecutive health checks that it missed"),
            Fact(name="passed", type=Type.COUNT, doc="consecutive health checks that it passed"),
            Fact(name="failures", type=Type.RATE, doc="missed checks and failed starts, over the last minute"),
            Fact(name="silence", type=Type.DURATION, doc="since its last report"),
            *FACTS,
        ),
        settings=(
            Setting(
                name="health_check_interval",
                type=Type.DURATION,
                doc="between two health checks of a node",
                default="30s",
                read_by_manager=True,
            ),
            Setting(
                name="failure_threshold",
                type=Type.COUNT,
                doc="missed checks after which it counts as failed",
                default="3_consecutive",
            ),
            Setting(
                name="recovery_validation",
                type=Type.COUNT,
                doc="passed checks after which it counts as recovered",
                default="2_successful_health_checks",
            ),
            Setting(
                name="circuit_breaker",
                type=Type.RATE,
                doc="failures at which a flapping node is taken out",
                default="5_failures_per_minute",
            ),
        ),
        actions=(
            Action(
                name="drain",
                doc="place nothing more on it; run its restartable jobs elsewhere if it is gone",
                undo="readmit",
            ),
            Action(name="readmit", doc="place on it again", undo="drain"),
            Action(name="hold", doc="leave it as it is"),
        ),
        attributes=(
            Attribute(name="fleet.up", type=Type.COUNT, doc="nodes that are up, this one included", actions=("drain",)),
        ),
        terminal="hold",
        titles=("UFM Load Balancing", "UFM Node Health"),
    ),
    events=("elias.node.checked",),
    effects={
        "drain": Does("node.cordon", Mode.OBSERVE, expires=30.0),
        "readmit": Does("node.uncordon", Mode.OBSERVE, expires=30.0, disruptive=False),
    },
    outcome=Due(60.0, "node minutes"),
    greets=True,
)

_TASK = ("dispatch",)

DISPATCH = DecisionPoint(
    Point(
        name="ufm.dispatch",
        version=1,
        doc="Which node takes this task? The event lists up to five nodes; the answer is the decision, nothing else is "
        "done.",
        facts=(
            Fact(
                name="kind",
                type=Type.NAME,
                doc="what the task does",
                values=("training", "batch", "inference", "storage"),
            ),
            Fact(name="vram", type=Type.BYTES, doc="GPU memory that it needs; 0 where it needs no GPU"),
            Fact(name="duration", type=Type.DURATION, doc="how long it runs on an idle node that has its data"),
            Fact(name="deadline", type=Type.DURATION, doc="until it is to be done, from now; absent without one"),
            Fact(name="data", type=Type.BYTES, doc="what must be copied to the node before it starts"),
            Fact(name="restartable", type=Type.FLAG, doc="it goes on where it stopped when a part of it fails"),
            Fact(name="frees_in", type=Type.DURATION, doc="until another node that fits is expected to be free"),
            Fact(name="fitting", type=Type.COUNT, doc="listed nodes that have the GPU memory free; counted here"),
            Fact(
                name="starts_in",
                type=Type.DURATION,
                doc="until the first of those could start, its waiting work done and the data there; counted here",
            ),
        ),
        actions=(
            Action(
                name="dispatch", doc="give the task to this node", args=(Arg(name="node", type=Type.NAME, doc="where"),)
            ),
            Action(name="hold", doc="let it wait for the next node that is free"),
        ),
        attributes=(
            Attribute(
                name="target.load",
                type=Type.PERCENT,
                doc="of the node, now",
                actions=_TASK,
                minimum=0,
                maximum=100,
            ),
            Attribute(
                name="target.vram_free",
                type=Type.BYTES,
                doc="GPU memory free on one GPU of the node; 0 without GPU",
                actions=_TASK,
            ),
            Attribute(
                name="target.wait", type=Type.DURATION, doc="work that waits there and goes first", actions=_TASK
            ),
            Attribute(
                name="target.bandwidth",
                type=Type.BYTES,
                doc="to the node from where the data is, in a second",
                actions=_TASK,
                minimum=1,
            ),
            Attribute(
                name="target.succeeded",
                type=Type.PERCENT,
                doc="tasks of the last day there that ended well",
                actions=_TASK,
                minimum=0,
                maximum=100,
            ),
        ),
        terminal="hold",
        titles=("UFM Dispatch",),
        trigger="every",
    ),
    events=("elias.task.dispatch",),
    outcome=Due(86400.0, "relative speed"),
    interferes=True,
)

POINTS = (PLACEMENT, ROUTING, NODE_HEALTH, DISPATCH, ALERT, FORWARD)
