"""The decision points of the resource manager: may this job start now, what is done about a node under pressure, and
what about a package that somebody asks for."""

from math import inf

from federation.points import DecisionPoint, Does, Due
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type

SAMPLE_AGE = 30.0  # seconds: six reports of a node agent; what is older says nothing about the node of now

TRIGGERS = ("all_thresholds_exceeded", "any_threshold_exceeded")
TARGETS = ("next_available_node", "least_loaded_node")
VICTIMS = ("lowest_priority", "newest", "largest")

_MOVES = ("scale_out", "migrate")
_ENDS = ("shed_load", "migrate", "resubmit")

PRESSURE = DecisionPoint(
    Point(
        name="urm.resource_pressure",
        version=2,
        doc="What is done about a node that runs short of memory, cores, GPU or disk? Asked at every sample of a node.",
        facts=(
            Fact(name="memory", type=Type.PERCENT, doc="memory in use", max_age=SAMPLE_AGE, minimum=0, maximum=100),
            Fact(name="cpu", type=Type.PERCENT, doc="cores in use", max_age=SAMPLE_AGE, minimum=0, maximum=100),
            Fact(
                name="gpu",
                type=Type.PERCENT,
                doc="GPUs in use, on average; absent without GPU",
                max_age=SAMPLE_AGE,
                minimum=0,
                maximum=100,
            ),
            Fact(name="disk", type=Type.PERCENT, doc="disk in use", max_age=SAMPLE_AGE, minimum=0, maximum=100),
            Fact(
                name="memory_trend",
                type=Type.NUMBER,
                doc="percentage points of memory a minute, over the last two minutes; less than 0 where it falls",
                max_age=SAMPLE_AGE,
            ),
            Fact(name="waiting", type=Type.COUNT, doc="jobs that wait for a node"),
            Fact(name="jobs", type=Type.COUNT, doc="ELIAS jobs that run on the node"),
            Fact(
                name="stopped", type=Type.COUNT, doc="jobs that shed_load stopped there and nobody has submitted again"
            ),
            Fact(name="cordoned", type=Type.FLAG, doc="scale_out keeps new work away from the node"),
        ),
        settings=(
            Setting(
                name="memory_threshold",
                type=Type.PERCENT,
                doc="memory in use that counts as pressure",
                default="80%",
                read_by_manager=True,
            ),
            Setting(
                name="cpu_threshold",
                type=Type.PERCENT,
                doc="cores in use that count as pressure",
                default="75%",
                read_by_manager=True,
            ),
            Setting(
                name="gpu_threshold",
                type=Type.PERCENT,
                doc="GPU in use that counts as pressure",
                default="90%",
                read_by_manager=True,
            ),
            Setting(
                name="scale_trigger",
                type=Type.NAME,
                doc="whether one threshold is enough or all must be exceeded (an absent GPU is not asked)",
                default="all_thresholds_exceeded",
                values=TRIGGERS,
            ),
            Setting(
                name="scale_target",
                type=Type.NAME,
                doc="where new work goes: the first node by name that has room, or the one in least use",
                default="next_available_node",
                values=TARGETS,
            ),
        ),
        actions=(
            Action(
                name="shed_load",
                doc="stop one ELIAS job on the node",
                args=(Arg(name="which", type=Type.NAME, doc="the job to stop", values=VICTIMS),),
                undo="resubmit",
            ),
            Action(
                name="scale_out",
                doc="place no new work on the node: it goes to one with room",
                args=(Arg(name="target", type=Type.NAME, doc="how that one is chosen", values=TARGETS),),
                undo="scale_in",
            ),
            Action(name="migrate", doc="stop a restartable job and submit it again for another node"),
            Action(name="resubmit", doc="submit a job again that shed_load stopped"),
            Action(name="scale_in", doc="place new work on the node again", undo="scale_out"),
            Action(name="hold", doc="leave the node as it is"),
        ),
        attributes=(
            Attribute(name="target.gpu_free", type=Type.NUMBER, doc="GPUs free on the target", actions=_MOVES),
            Attribute(name="target.cpu_free", type=Type.NUMBER, doc="cores free on the target", actions=_MOVES),
            Attribute(name="target.memory_free", type=Type.BYTES, doc="memory free on the target", actions=_MOVES),
            Attribute(name="job.gpu", type=Type.NUMBER, doc="GPUs that the job asked for", actions=_ENDS),
            Attribute(name="job.cpu", type=Type.NUMBER, doc="cores that the job asked for", actions=_ENDS),
            Attribute(name="job.memory", type=Type.BYTES, doc="memory that the job asked for", actions=_ENDS),
            Attribute(name="job.priority", type=Type.COUNT, doc="higher goes first", actions=_ENDS, minimum=-inf),
        ),
        terminal="hold",
        titles=("URM Resource Allocation", "URM Resource Pressure"),
    ),
    events=("elias.resource.sample",),
    effects={
        "shed_load": Does("job.stop"),
        "scale_out": Does("node.cordon"),
        "migrate": Does("job.stop"),
        "scale_in": Does("node.uncordon", disruptive=False),
    },
    outcome=Due(60.0, "relieved nodes", bounds=(-1.0, 1.0)),
    greets=True,
)

ADMISSION = DecisionPoint(
    Point(
        name="urm.admission",
        version=1,
        doc="May this job start now, or does it wait? Asked when it is submitted, and of the first that waits when "
        "there may be room.",
        facts=(
            Fact(name="memory", type=Type.BYTES, doc="memory asked for"),
            Fact(name="cpus", type=Type.NUMBER, doc="cores asked for"),
            Fact(name="gpus", type=Type.NUMBER, doc="GPUs asked for; a share of one is less than 1"),
            Fact(name="priority", type=Type.COUNT, doc="of the job; higher goes first", minimum=-inf),
            Fact(name="nodes", type=Type.COUNT, doc="nodes that are known and take work"),
            Fact(name="settled", type=Type.FLAG, doc="all nodes have had 30 s to report since URM started"),
            Fact(name="fits_now", type=Type.FLAG, doc="one node has all that the job asks for free"),
            Fact(name="fits_ever", type=Type.FLAG, doc="one node could hold the job if nothing else ran there"),
            Fact(name="memory_free", type=Type.BYTES, doc="free memory, the largest on one node"),
            Fact(name="memory_total", type=Type.BYTES, doc="memory, the largest on one node"),
            Fact(name="cpus_free", type=Type.NUMBER, doc="free cores, the most on one node"),
            Fact(name="cpus_total", type=Type.NUMBER, doc="cores, the most on one node"),
            Fact(name="gpus_free", type=Type.NUMBER, doc="free GPUs, the most on one node"),
            Fact(name="gpus_total", type=Type.NUMBER, doc="GPUs, the most on one node"),
            Fact(name="fleet_memory_free", type=Type.BYTES, doc="free memory of all nodes together"),
            Fact(name="fleet_cpus_free", type=Type.NUMBER, doc="free cores of all nodes together"),
            Fact(name="fleet_gpus_free", type=Type.NUMBER, doc="free GPUs of all nodes together"),
            Fact(
                name="pressure",
                type=Type.PERCENT,
                doc="memory in use on the node with room that has the least in use; absent without one",
                minimum=0,
                maximum=100,
            ),
            Fact(name="queue_depth", type=Type.COUNT, doc="other jobs that wait"),
            Fact(name="ahead", type=Type.COUNT, doc="those of them that go first: by priority, then by arrival"),
        ),
        settings=(
            Setting(name="pressure_limit", type=Type.PERCENT, doc="above it no job is admitted", default="90%"),
            Setting(name="queue_limit", type=Type.COUNT, doc="waiting jobs; at most 1000", default="1000"),
        ),
        actions=(
            Action(name="admit", doc="give it to placement"),
            Action(name="wait", doc="keep it in the queue until there is room"),
            Action(name="hold", doc="do not run it; submit it again to try again"),
        ),
        terminal="hold",
        titles=("URM Admission",),
        trigger="every",
    ),
    events=("elias.job.submitted",),
    outcome=Due(3600.0, "started jobs"),
    interferes=True,
)

PACKAGE = DecisionPoint(
    Point(
        name="urm.package",
        version=1,
        doc="What is done about this package request?",
        facts=(
            Fact(
                name="hash",
                type=Type.NAME,
                doc="whether the file is the one that was recorded for this version; unlisted: none was",
                values=("matches", "mismatch", "unlisted"),
            ),
            Fact(
                name="signature",
                type=Type.NAME,
                doc="of the publisher; none: the file is not signed",
                values=("valid", "invalid", "none"),
            ),
            Fact(
                name="mirrors",
                type=Type.PERCENT,
                doc="mirrors that have the same file",
                minimum=0,
                maximum=100,
            ),
            Fact(name="conflicts", type=Type.COUNT, doc="installed packages that do not work with this version"),
            Fact(name="dependents", type=Type.COUNT, doc="installed packages that use this one"),
            Fact(name="vulnerabilities", type=Type.COUNT, doc="known ones of this version"),
            Fact(name="age", type=Type.DURATION, doc="time since this version was released"),
            Fact(
                name="trust",
                type=Type.PERCENT,
                doc="earlier requests of the requester that did no harm",
                minimum=0,
                maximum=100,
            ),
            Fact(
                name="environment",
                type=Type.NAME,
                doc="where it would be installed",
                values=("scratch", "shared", "production"),
            ),
            Fact(name="waiting", type=Type.COUNT, doc="jobs that wait for the package"),
        ),
        actions=(
            Action(name="install", doc="install the version that was asked for"),
            Action(name="alternate", doc="install another version instead"),
            Action(name="verify", doc="ask a person to verify the file before anything is installed"),
            Action(name="deny", doc="install nothing, and tell the requester"),
            Action(name="hold", doc="leave the request open"),
        ),
        attributes=(
            Attribute(
                name="alternate.distance",
                type=Type.NAME,
                doc="the first part of the version that differs",
                values=("patch", "minor", "major"),
                actions=("alternate",),
            ),
            Attribute(
                name="alternate.conflicts",
                type=Type.COUNT,
                doc="installed packages that do not work with it",
                actions=("alternate",),
            ),
            Attribute(
                name="alternate.vulnerabilities",
                type=Type.COUNT,
                doc="known ones of it",
                actions=("alternate",),
            ),
        ),
        terminal="hold",
        titles=("URM Package",),
        trigger="every",
    ),
    events=("elias.package.requested",),
    critical=True,
    outcome=Due(3600.0, "served requests", bounds=(-4.0, 1.0)),
)

POINTS = (PRESSURE, ADMISSION, PACKAGE)
