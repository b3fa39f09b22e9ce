"""The decision points of ULM about training: whether a policy is trained again, whether that is worth it, by which
method, and from which model. The last one's effect starts the training.
"""

from federation.points import DecisionPoint, Does, Due
from tiki.schema import Action, Arg, Fact, Point, Setting, Type

OBJECTIVES = ("grpo", "dpo", "kto", "distil", "sft")
METHODS = ("full", "lora", "qlora")
CURRENT = "current"
BASES = (
    CURRENT,
    "deepseek-coder-6.7b",
    "codellama-13b",
    "codellama-34b",
    "qwen2.5-7b",
    "qwen2.5-coder-7b",
    "qwen2.5-14b",
    "qwen2.5-coder-14b",
)
"""What training can begin with: the policy in force, or a model by name."""

TRAINABLE = frozenset(
    {
        (CURRENT, "full"),
        ("deepseek-coder-6.7b", "qlora"),
        ("deepseek-coder-6.7b", "lora"),
        ("codellama-13b", "qlora"),
        ("codellama-34b", "qlora"),
    }
)
"""With what and how `elias train again` has a preset for."""

_HARDWARE = Fact(
    name="hardware",
    type=Type.NAME,
    doc="what it can be trained on: gpu where some node has one",
    values=("gpu", "cpu"),
)
_MEMORY = Fact(name="memory", type=Type.BYTES, doc="of the node that has most")
_PARAMETERS = Fact(name="parameters", type=Type.COUNT, doc="of the policy in force; absent where they are not known")

RETRAIN = DecisionPoint(
    Point(
        name="ulm.retrain",
        version=1,
        doc="Is the policy in force trained again? Asked every minute of each policy that is in force at some point.",
        facts=(
            Fact(
                name="drift",
                type=Type.PERCENT,
                doc="by how much the share of its right answers has dropped since its first checks, at the point where "
                "most; absent where it has not, or by no more than chance would have it",
            ),
            Fact(
                name="input_shift",
                type=Type.NUMBER,
                doc="population stability index of the fact that has moved most since the first questions; absent "
                "until there are enough",
            ),
            Fact(name="lapsed", type=Type.COUNT, doc="points at which its promise on error is broken now"),
            Fact(
                name="uncalibrated",
                type=Type.COUNT,
                doc="of these: where it was calibrated anew since, and that was not enough",
            ),
            Fact(
                name="age",
                type=Type.DURATION,
                doc="since it was registered, or was first asked here where it never was; or since the newest training "
                "that was done with it",
            ),
            Fact(
                name="new_examples",
                type=Type.COUNT,
                doc="decisions that a policy, an advisor or a person answered since that training began",
            ),
            Fact(name="training", type=Type.FLAG, doc="a training runs already"),
            Fact(name="on_trial", type=Type.COUNT, doc="points at which a challenger is on trial"),
        ),
        settings=(
            Setting(name="max_drift", type=Type.PERCENT, doc="from this drop on it is trained again", default="5%"),
            Setting(name="min_examples", type=Type.COUNT, doc="new examples that are worth a training", default="1000"),
            Setting(name="min_age", type=Type.DURATION, doc="with enough examples, when it is time", default="182d"),
            Setting(name="max_age", type=Type.DURATION, doc="when it is time anyway", default="365d"),
            Setting(name="max_shift", type=Type.NUMBER, doc="of the inputs: much has changed", default="0.25"),
        ),
        actions=(
            Action(name="retrain", doc="ask whether, how and from what it is trained again"),
            Action(name="hold", doc="leave it as it is"),
        ),
        terminal="hold",
        titles=("ULM Retrain",),
    ),
    events=("elias.policy.aged",),
)

SHOULD_TRAIN = DecisionPoint(
    Point(
        name="ulm.should_train",
        version=1,
        doc="Is a training worth it? Asked when `ulm.retrain` wants one, and by whoever plans one.",
        facts=(
            Fact(
                name="quality",
                type=Type.PERCENT,
                doc="share of right answers now; absent until enough are checked",
                minimum=0,
                maximum=100,
            ),
            Fact(name="volume", type=Type.RATE, doc="questions asked of the policy, over the last week"),
            Fact(
                name="budget",
                type=Type.NUMBER,
                doc="US dollars that it may cost; absent where ELIAS asks, which trains on machines that are there",
            ),
            Fact(
                name="timeline",
                type=Type.DURATION,
                doc="by when it has to be of use; absent where ELIAS asks, which has time",
            ),
        ),
        settings=(
            Setting(name="good_enough", type=Type.PERCENT, doc="from this quality on little is gained", default="95%"),
            Setting(name="min_volume", type=Type.RATE, doc="below it a training does not pay", default="10_per_day"),
            Setting(name="min_budget", type=Type.NUMBER, doc="what a training takes, US dollars", default="10000"),
            Setting(name="min_timeline", type=Type.DURATION, doc="what a training takes", default="70d"),
        ),
        actions=(
            Action(name="train", doc="ask for the method"),
            Action(name="hold", doc="do not train"),
        ),
        terminal="hold",
        titles=("ULM Should Train",),
        trigger="every",
    ),
    events=("elias.training.wanted",),
)

_OBJECTIVE = Arg(name="objective", type=Type.NAME, doc="what it learns by", values=OBJECTIVES)

METHOD = DecisionPoint(
    Point(
        name="ulm.training_method",
        version=1,
        doc="How is it trained? A rule that names no objective takes the first one that the record has enough for: "
        "grpo, dpo, kto, distil, sft.",
        facts=(
            Fact(name="examples", type=Type.COUNT, doc="on record"),
            Fact(name="rewarded", type=Type.COUNT, doc="of these: with the reward of what came of them"),
            Fact(name="overridden", type=Type.COUNT, doc="of these: answered otherwise than the policy would have"),
            Fact(name="advised", type=Type.COUNT, doc="of these: answered by an advisor"),
            _HARDWARE,
            _MEMORY,
            Fact(name="time", type=Type.DURATION, doc="that it may take; absent without a limit"),
            _PARAMETERS,
        ),
        settings=(
            Setting(name="min_examples", type=Type.COUNT, doc="fewer teach nothing", default="500"),
            Setting(name="many_examples", type=Type.COUNT, doc="enough to train all weights", default="10000"),
            Setting(name="min_memory", type=Type.BYTES, doc="that LoRA needs on a processor", default="32GB"),
            Setting(name="min_time", type=Type.DURATION, doc="that LoRA needs on a processor", default="48h"),
            Setting(
                name="small",
                type=Type.COUNT,
                doc="parameters up to which a policy is trained whole on a processor",
                default="100000000",
            ),
        ),
        actions=(
            Action(name="full", doc="train all weights", args=(_OBJECTIVE,)),
            Action(name="lora", doc="train an adapter of low rank", args=(_OBJECTIVE,)),
            Action(name="qlora", doc="train an adapter over weights in 4 bits", args=(_OBJECTIVE,)),
            Action(name="hold", doc="collect more examples first"),
        ),
        terminal="hold",
        titles=("ULM Training Method",),
        trigger="every",
    ),
    events=("elias.training.granted",),
)

BASE = DecisionPoint(
    Point(
        name="ulm.base_model",
        version=1,
        doc="From which model does training begin?",
        facts=(
            Fact(
                name="role",
                type=Type.NAME,
                doc="what the model is for; operator: it decides for the managers, which is what ELIAS asks about",
                values=("operator", "coder", "tester", "reviewer", "researcher", "coordinator"),
            ),
            Fact(
                name="complexity",
                type=Type.NAME,
                doc="of its questions; easy: the policy is right on 90 % of them, medium: on 75 %; absent until enough "
                "are checked",
                values=("easy", "medium", "hard"),
            ),
            Fact(name="latency", type=Type.DURATION, doc="within which it has to answer"),
            _HARDWARE,
            _MEMORY,
            _PARAMETERS,
            Fact(name="method", type=Type.NAME, doc="how it is trained", values=METHODS),
            Fact(name="objective", type=Type.NAME, doc="what it learns by", values=OBJECTIVES),
        ),
        settings=(
            Setting(
                name="small",
                type=Type.COUNT,
                doc="parameters up to which a policy goes on from itself",
                default="100000000",
            ),
            Setting(name="job_cpus", type=Type.COUNT, doc="cores of the training", default="2", read_by_manager=True),
            Setting(
                name="job_memory", type=Type.BYTES, doc="memory of the training", default="4GB", read_by_manager=True
            ),
            Setting(
                name="job_time",
                type=Type.DURATION,
                doc="after which the training is stopped",
                default="48h",
                read_by_manager=True,
            ),
        ),
        actions=(
            Action(
                name="train",
                doc="begin a training with this model, as a job; nothing in force changes by it",
                args=(Arg(name="base", type=Type.NAME, doc="the model", values=BASES),),
            ),
            Action(name="hold", doc="train nothing"),
        ),
        terminal="hold",
        titles=("ULM Base Model",),
        trigger="every",
    ),
    events=("elias.training.prepared",),
    effects={"train": Does("ulm.training", expires=60.0, disruptive=False)},
    outcome=Due(7 * 86400.0, "trained policies"),
)

POINTS = (RETRAIN, SHOULD_TRAIN, METHOD, BASE)
