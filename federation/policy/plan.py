"""Whether a model fits the cards, and what a decision costs there: arithmetic, no measurement.

Memory of a card: weights, the cache of keys and values, and the rest (context, workspaces, activations) share what
vLLM is allowed to take. Time of a decision: it is one prefill, so the larger of arithmetic and reading the weights
bounds it from below; a range comes out because nothing reaches its peak. Method: Kaplan et al. 2020 (2 FLOPs a
parameter and token) and Pope et al. 2022 (what bounds inference). docs/policy/vllm.md says what has been measured.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from federation.errors import Refused

GIB = 1 << 30
USABLE = 0.90
"""Share of a card's memory that a server takes: vLLM's `--gpu-memory-utilization` in the profiles."""
FIXED = 0.9 * GIB
"""CUDA context, kernels' workspaces and captured graphs of one server process on one card."""
BATCHED = 2048
"""Tokens in one forward pass, which sets the size of the activations: `--max-num-batched-tokens`."""
SEQUENCES = 4
"""A configuration is worth starting when the cache holds so many prompts at once."""
BUS = (3.5e9, 10.5e9)
"""Bytes a second between two cards over PCIe without peer access: the slow and the good board."""

Precision = Literal["fp16", "fp8", "int4"]
BITS: dict[Precision, float] = {"fp16": 16.0, "fp8": 8.0, "int4": 4 + 20 / 128}
"""A weight of a linear layer; int4 as AWQ has it: a scale of 16 and a zero of 4 bits for each 128."""
REACHED: dict[Precision, tuple[float, float]] = {"fp16": (0.66, 0.66), "fp8": (0.60, 0.60), "int4": (0.60, 0.66)}
"""Share of the peak that a prefill reaches: low, high. int4 is unpacked on the way, and computes in 16 bits."""


class Shape(NamedTuple):
    """A model of the Llama kind."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tied: bool = False

    @property
    def linear(self) -> int:
        """Parameters of the layers' matrices: these are multiplied for every token, and can be quantised."""
        attention = 2 * self.hidden * self.head * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, the head and the norms, which stay in 16 bits."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden * (2 * self.layers + 1)

    @property
    def parameters(self) -> int:
        return self.linear + self.embedding

    @property
    def cache(self) -> int:
        """Bytes of keys and values a token, in 16 bits."""
        return 2 * self.layers * self.kv_heads * self.head * 2

    def weights(self, precision: Precision) -> float:
        """Bytes."""
        return self.linear * BITS[precision] / 8 + self.embedding * 2

    def operations(self, tokens: int, before: int = 0) -> float:
        """FLOPs of a prefill of `tokens` after `before` that are in the cache."""
        attended = tokens * before + tokens * tokens / 2
        return 2 * self.linear * tokens + 4 * self.layers * self.heads * self.head * attended


MODELS: dict[str, Shape] = {
    "deepseek-ai/deepseek-coder-1.3b-instruct": Shape(24, 2048, 5504, 16, 16, 128, 32256),
    "deepseek-ai/deepseek-coder-6.7b-instruct": Shape(32, 4096, 11008, 32, 32, 128, 32256),
    "deepseek-ai/deepseek-coder-33b-instruct": Shape(62, 7168, 19200, 56, 8, 128, 32256),
    "codellama/CodeLlama-13b-Instruct-hf": Shape(40, 5120, 13824, 40, 40, 128, 32016),
    "codellama/CodeLlama-34b-Instruct-hf": Shape(48, 8192, 22016, 64, 8, 128, 32000),
}
"""From the public config.json of each."""


class Card(NamedTuple):
    """memory in bytes. bandwidth in bytes a second. fp16, fp8: peak FLOPs a second of dense products that sum in 32
    bits; a card without FP8 computes in 16 bits and saves the memory alone."""

    memory: float
    bandwidth: float
    fp16: float
    fp8: float


CARDS: dict[str, Card] = {
    "rtx-5060-ti": Card(16 * GIB, 448e9, 47.4e12, 94.9e12),
    "rtx-4090": Card(24 * GIB, 1008e9, 165.2e12, 330.3e12),
    "l4": Card(24 * GIB, 300e9, 121e12, 242e12),
    "l40s": Card(48 * GIB, 864e9, 362e12, 733e12),
    "a100-80g": Card(80 * GIB, 2039e9, 312e12, 312e12),
    "h100-sxm": Card(80 * GIB, 3350e9, 989e12, 1979e12),
    "h200": Card(141 * GIB, 4800e9, 989e12, 1979e12),
}
"""From the makers' data sheets, without sparsity."""


class Range(NamedTuple):
    """Seconds."""

    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One way to run a model. Bytes are a card's. latency: of one decision on an idle server; warm: with `cached`
    tokens of its prompt in the cache. floor: of each further token, from the bandwidth; a decision needs none. rate:
    decisions a second, all servers together, none cached. Without a known card there are no times."""

    precision: Precision
    tensor_parallel: int
    servers: int
    weights: float
    rest: float
    room: float
    sequences: int
    fits: bool
    latency: Range | None
    warm: Range | None
    floor: float | None
    rate: float | None


@dataclass(frozen=True)
class Plan:
    """rows: every way, the best first. tokens: length of a prompt; cached: of these the ones that rarely change."""

    model: str
    parameters: int
    cache: int
    cards: int
    memory: float
    card: str
    tokens: int
    cached: int
    rows: tuple[Row, ...]

    @property
    def best(self) -> Row | None:
        return next((row for row in self.rows if row.fits), None)

    def data(self) -> dict[str, object]:
        return asdict(self)


def plan(
    model: str, shape: Shape, cards: int, memory: float, card: str = "", *, tokens: int = 600, cached: int = 450
) -> Plan:
    """Every precision and degree of tensor parallelism. memory: bytes a card. card: a name in CARDS, or empty."""
    rows = [
        _row(shape, precision, width, cards // width, memory, CARDS.get(card), tokens, cached)
        for precision in BITS
        for width in _widths(shape, cards)
    ]
    rows.sort(key=lambda row: (not row.fits, -(row.rate or 0), row.tensor_parallel))
    return Plan(model, shape.parameters, shape.cache, cards, memory, card, tokens, cached, tuple(rows))


def _widths(shape: Shape, cards: int) -> Iterator[int]:
    width = 1
    while width <= cards:
        if cards % width == 0 and shape.heads % width == 0 and shape.kv_heads % width == 0:
            yield width
        width *= 2


def _row(
    shape: Shape,
    precision: Precision,
    width: int,
    servers: int,
    memory: float,
    card: Card | None,
    tokens: int,
    old: int,
) -> Row:
    weights = shape.weights(precision) / width
    activations = BATCHED * (2 * shape.intermediate / width + 4 * shape.hidden) * 2
    rest = FIXED + activations
    room = memory * USABLE - weights - rest
    sequences = max(0, int(room // (tokens * shape.cache / width)))
    latency = _prefill(shape, precision, width, card, tokens, 0) if card else None
    return Row(
        precision=precision,
        tensor_parallel=width,
        servers=servers,
        weights=weights,
        rest=rest,
        room=room,
        sequences=sequences,
        fits=sequences >= SEQUENCES,
        latency=latency,
        warm=_prefill(shape, precision, width, card, tokens - old, old) if card else None,
        floor=weights / card.bandwidth if card else None,
        rate=servers / ((latency.low + latency.high) / 2) if latency else None,
    )


def _prefill(shape: Shape, precision: Precision, width: int, card: Card, tokens: int, before: int) -> Range:
    """Low: reading the weights hides behind the arithmetic, and the bus is good; high: neither."""
    peak = (card.fp8 if precision == "fp8" else card.fp16) * width
    worst, best = (shape.operations(tokens, before) / (peak * share) for share in REACHED[precision])
    read = shape.weights(precision) / width / card.bandwidth
    # Two all-reduces a layer; of two cards each sends what it has once, of more nearly twice.
    moved = 2 * shape.layers * tokens * shape.hidden * 2 * 2 * (width - 1) / width
    return Range(max(best, read) + moved / BUS[1], worst + read + moved / BUS[0])


# -- what a person names --------------------------------------------------------------------------------------------


def gpus(text: str) -> tuple[int, float]:
    """`2x16GiB` as the number of cards and the bytes of each. Raises Refused."""
    match = re.fullmatch(r"(\d+)x(\d+(?:\.\d+)?)(GiB|GB)", text.strip())
    if match is None or not int(match[1]) or not float(match[2]):
        raise Refused("gpus", f"`{text}` is no number of cards and their memory", cure="write it as `2x16GiB`")
    return int(match[1]), float(match[2]) * (GIB if match[3] == "GiB" else 1e9)


def card_of(memory: float) -> str:
    """The first known card with this memory; empty: none."""
    return next((name for name, card in CARDS.items() if abs(card.memory - memory) < GIB / 2), "")


_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class _Config(msgspec.Struct):
    """What counts in a config.json of transformers."""

    architectures: list[str]
    hidden_size: _Count
    intermediate_size: _Count
    num_hidden_layers: _Count
    num_attention_heads: _Count
    vocab_size: _Count
    num_key_value_heads: _Count | None = None
    head_dim: _Count | None = None
    tie_word_embeddings: bool = False


def shape_of(model: str) -> Shape:
    """Of a known model, or of the `config.json` in a folder. Raises Refused."""
    if model in MODELS:
        return MODELS[model]
    path = Path(model) / "config.json" if Path(model).is_dir() else Path(model)
    if path.suffix != ".json" or not path.is_file():
        raise Refused(
            "model", f"the shape of `{model}` is not known", cure=f"name a folder with its config.json, or {_known()}"
        )
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
    except (OSError, msgspec.MsgspecError) as error:
        cure = "name the config.json of a Llama in the layout of transformers"
        raise Refused("model", f"this is no shape of a model: {error}", place=str(path), cure=cure) from None
    if config.architectures != ["LlamaForCausalLM"]:
        what = f"the arithmetic is that of a Llama, not of {', '.join(config.architectures) or 'nothing'}"
        raise Refused("model", what, place=str(path), cure=f"name a LlamaForCausalLM, or {_known()}")
    heads = config.num_attention_heads
    return Shape(
        config.num_hidden_layers,
        config.hidden_size,
        config.intermediate_size,
        heads,
        config.num_key_value_heads or heads,
        config.head_dim or config.hidden_size // heads,
        config.vocab_size,
        config.tie_word_embeddings,
    )


def _known() -> str:
    return f"one of {', '.join(MODELS)}"


def would_fit(shape: Shape, cards: int, memory: float) -> str:
    """What would do where nothing fits: more cards of the kind, or models that fit these. In words."""
    ways: list[str] = []
    for more in (2**power for power in range(1, 6)):
        best = plan("", shape, more, memory).best if more > cards else None
        if best:
            ways.append(
                f"{more} cards of {memory / GIB:.3g} GiB ({best.precision}, tensor parallel {best.tensor_parallel})"
            )
            break
    smaller = [
        name for name, other in MODELS.items() if other.linear < shape.linear and plan("", other, cards, memory).best
    ]
    if smaller:
        ways.append(f"on these cards {max(smaller, key=lambda name: MODELS[name].linear)}")
    return "; or ".join(ways) or "nothing that is known here"
