"""What a training will take, before anything is loaded: memory, tokens, steps. Needs no torch.

The arithmetic of memory: weights as they are held, for each trained weight its gradient and the two moments of Adam
(Kingma and Ba 2015), a frozen copy where a method compares with the beginning, and activations by Korthikanti et al.
2022, section 4.1, for attention that does not keep its matrix: 34 bytes a token and unit of width in 16 bits.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from federation.errors import Refused
from federation.policy.card import FILES
from training.dataset.example import Logged
from training.learning.preset import Adapter, Preset, Shape

GIB = 2**30
FOUR_BIT = 4.127 / 8  # bytes a weight in NF4 with its constants quantised (Dettmers et al. 2023, section 3)
ACTIVATIONS = 17  # values a token and unit of width
CONTEXT = 0.7 * GIB  # of CUDA and its libraries, each card
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
COMPARING = ("dpo", "kto", "grpo")


class Memory(msgspec.Struct, frozen=True):
    """Bytes. weights: as they are held. trained: gradients and moments, and adapters. reference: the frozen copy.
    activations: of the rows that go through the network together."""

    weights: int
    trained: int
    reference: int
    activations: int
    context: int

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.reference + self.activations + self.context


class Length(NamedTuple):
    """Tokens of a prompt."""

    mean: float
    longest: int


def memory(shape: Shape, preset: Preset, name: str, longest: int) -> Memory:
    """Of all cards together, or of the processor. name: of the method. longest: tokens of a prompt."""
    width = 4 if preset.precision == "float32" else 2
    linear, embedded = _linear(shape), _embedded(shape)
    adapter = preset.adapter
    held = linear * (FOUR_BIT if adapter is not None and adapter.four_bit else width) + embedded * width
    if adapter is None:
        count = linear + embedded
        trained, reference = 12 * count, held if name in COMPARING else 0
    else:
        moments = 2 if adapter.four_bit else 8  # those in 8 bits can be paged out as well
        trained, reference = _adapted(shape, adapter) * (4 + 4 + moments), 0
    tokens = preset.rows * longest
    layer = ACTIVATIONS * width * tokens * shape.hidden
    activations = shape.layers * width * tokens * shape.hidden + layer if preset.checkpointing else shape.layers * layer
    context = CONTEXT * preset.cards
    return Memory(*(int(part) for part in (held, trained, reference, activations, context)))


def steps(count: int, preset: Preset, name: str) -> int:
    """count: decisions to learn from."""
    course = preset.course(name)
    return -(-count * course.times(count) // course.batch)


def fit(name: str, examples: Sequence[Logged], *, teacher: bool) -> int:
    """How many of the decisions a method can learn from; of those that learn from good outcomes alone, at most."""
    match name:
        case "sft":
            return sum(one.reward is not None or one.tier == "operator" for one in examples)
        case "kto":
            return sum(one.reward is not None for one in examples)
        case "dpo":
            return sum(one.overridden for one in examples)
        case "distil":
            advised = sum(one.advice is not None and one.advice.choice is not None for one in examples)
            return len(examples) if teacher else advised
        case _:
            return len(examples)


def lengths(folder: Path, texts: Sequence[str]) -> Length:
    """Of these prompts, as the policy's tokenizer cuts them. Raises Refused where the folder has none."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - native

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # whatever its native half says
        cure = "name the folder of a policy"
        raise Refused("bad-policy", f"no tokenizer: {error}", place=str(folder), cure=cure) from None
    counts = [len(each.ids) for each in tokenizer.encode_batch(list(texts))]
    return Length(sum(counts) / max(len(counts), 1), max(counts, default=0))


def shape(folder: Path) -> Shape:
    """From the config.json of a policy. Raises Refused where it is missing, or not one of a Llama."""
    path = folder / "config.json"
    try:
        said = json.loads(path.read_text("utf-8"))
        return Shape(
            hidden=said["hidden_size"],
            inner=said["intermediate_size"],
            layers=said["num_hidden_layers"],
            heads=said["num_attention_heads"],
            key_value_heads=said.get("num_key_value_heads", said["num_attention_heads"]),
            words=said["vocab_size"],
            tied=said.get("tie_word_embeddings", False),
        )
    except OSError as error:
        cure = "name the folder of a policy with --from"
        raise Refused("no-policy", f"there is no policy: {error.strerror}", place=str(folder), cure=cure) from None
    except (ValueError, KeyError) as error:
        cure = "choose a policy of the architecture LlamaForCausalLM"
        raise Refused("bad-policy", f"no configuration of a Llama: {error}", place=str(path), cure=cure) from None


def written(start: Path) -> tuple[str, ...]:
    """The files of what is made, beside its card: a whole policy from a whole one, else an adapter."""
    return FILES if (start / "model.onnx").exists() else ADAPTER


def parameters(shape: Shape) -> int:
    return _linear(shape) + _embedded(shape)


def _linear(shape: Shape) -> int:
    return shape.layers * sum(rows * columns for rows, columns in _matrices(shape).values())


def _embedded(shape: Shape) -> int:
    return shape.words * shape.hidden * (1 if shape.tied else 2)


def _adapted(shape: Shape, adapter: Adapter) -> int:
    known = _matrices(shape)
    return shape.layers * sum(adapter.rank * sum(known[name]) for name in adapter.modules if name in known)


def _matrices(shape: Shape) -> dict[str, tuple[int, int]]:
    """Of a layer, by the name that a Llama gives them: inputs and outputs."""
    narrow = shape.hidden // shape.heads * shape.key_value_heads
    return {
        "q_proj": (shape.hidden, shape.hidden),
        "k_proj": (shape.hidden, narrow),
        "v_proj": (shape.hidden, narrow),
        "o_proj": (shape.hidden, shape.hidden),
        "gate_proj": (shape.hidden, shape.inner),
        "up_proj": (shape.hidden, shape.inner),
        "down_proj": (shape.inner, shape.hidden),
    }
