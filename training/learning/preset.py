"""Presets of learning from the ledger: what is trained of a policy, how long, and on which machine. YAML in
training/presets/learning, one file each."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.policy import preset
from training.policy.preset import Positive, Strict

FOLDER = preset.FOLDER / "learning"
METHODS = ("sft", "dpo", "kto", "grpo", "distil")

Share = Annotated[float, Field(ge=0, lt=1)]
Above = Annotated[float, Field(gt=0)]


class Shape(Strict):
    """Of a Llama: what its memory follows from."""

    hidden: Positive
    inner: Positive
    layers: Positive
    heads: Positive
    key_value_heads: Positive
    words: Positive
    tied: bool = False


class Adapter(Strict):
    """LoRA (Hu et al. 2021). rank: of the two matrices. scale: alpha, by which over the rank their product is
    multiplied. dropout: share of their inputs. modules: layers that get one. four_bit: the weights beneath are held in
    4 bits (QLoRA, Dettmers et al. 2023); needs a GPU and bitsandbytes."""

    rank: Positive = 16
    scale: Positive = 32
    dropout: Share = 0.0
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    four_bit: bool = False


class Course(Strict):
    """How long and how fast one method goes.

    passes: how often every example is seen, each time with its candidates in another order. steps: so many at least,
    by more passes where examples are few: a few dozen leave a policy half taught, and too many end by themselves once
    validation gets no better. batch: prompts a step, of all cards together. rate: of learning, at its highest; it rises
    over the first `warm_up` (share of the steps) and falls with a cosine. beta: weight of staying near the policy that
    one begins with (DPO, KTO: the temperature of the implied reward). answers: sampled of each prompt (GRPO alone).
    exact: instead of sampling, the expected reward over the labels is made larger (GRPO alone).
    """

    passes: Positive
    steps: Annotated[int, Field(ge=0)] = 0
    batch: Positive
    rate: Above
    warm_up: Share = 0.1
    beta: Annotated[float, Field(ge=0)] = 0.0
    answers: Annotated[int, Field(ge=2)] = 8
    exact: bool = False

    def times(self, count: int) -> int:
        """How often each of so many examples is seen."""
        return max(self.passes, -(-self.steps * self.batch // max(count, 1)))


class Preset(Strict):
    """precision: of the arithmetic, and of weights that are not trained. rows: prompts that go through the network
    together; a batch of more is added up. check: steps between validations. patience: validations without a better one
    after which training ends. threads: of the processor. cards: GPUs over which the layers are spread; 0: on the
    processor. memory: GiB of each card that may be used, or of the processor. length: tokens of the longest prompt.
    shape: of the policy that the preset is meant for, to foretell its memory where it is not at hand."""

    seed: int = 0
    adapter: Adapter | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    rows: Positive
    checkpointing: bool = False
    check: Positive
    patience: Positive
    threads: Positive = 1
    cards: Annotated[int, Field(ge=0)] = 0
    memory: Above = 4.0
    length: Positive = 1024
    shape: Shape | None = None
    decay: Annotated[float, Field(ge=0)] = 0.0
    sft: Course
    dpo: Course
    kto: Course
    grpo: Course
    distil: Course

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.adapter is not None and self.adapter.four_bit and not self.cards:
            raise ValueError("weights in 4 bits need a card")
        for method in METHODS:
            course = self.course(method)
            if course.batch > self.rows and course.batch % self.rows:
                raise ValueError(f"{method}: a batch of {course.batch} is no multiple of {self.rows} rows")
        return self

    def course(self, method: str) -> Course:
        """Of one of METHODS."""
        found: Course = getattr(self, method)
        return found


def names() -> tuple[str, ...]:
    return preset.names(FOLDER)


def load(name: str) -> Preset:
    """A preset that ships, by name, or a file of one's own. Raises Refused."""
    return preset.read(Preset, name, FOLDER)
