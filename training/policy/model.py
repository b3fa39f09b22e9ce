"""A small Llama, lean enough to train on two cores.

The same network as `LlamaForCausalLM` of transformers, with the same weights under the same names once `weights` has
written them out (a test holds both to the same scores). What differs is what it need not do: its last layer looks at
the last position alone, its head at the labels alone, and no mask is needed, for what pads a row stands behind all that
the row is asked.

Numbers: a word that is a quantity gets its embedding from sines and cosines of its value, on a linear and on a
logarithmic scale, through one small matrix for each type. So 83% lies near 84% from the first step on, and numbers that
training never showed mean what their neighbours mean.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tiki.schema import Type
from training.policy.preset import Shape
from training.policy.tokenizer import LENGTH, Number, Words

EPSILON, THETA = 1e-6, 10_000.0
SPREAD = 1.0  # standard deviation of an embedding at the start: what the layers add at first is small beside it


class Network(nn.Module):
    """Scores of labels; on the side the value that each candidate seems to have, which is dropped after training."""

    labels: Tensor
    cosines: Tensor
    sines: Tensor

    def __init__(self, shape: Shape, words: Words) -> None:
        super().__init__()
        self.shape = shape
        width = shape.hidden
        kinds = _kinds(words.numbers)
        first = min(words.numbers)
        if sorted(words.numbers) != list(range(first, len(words.ids))):
            raise ValueError("the words that are numbers come last")
        self.words = nn.Parameter(torch.randn(first, width) * SPREAD)
        self.kinds = nn.ParameterList(nn.Parameter(torch.randn(len(_features(Type.COUNT, 0.0)), width)) for _ in kinds)
        for index, numbers in enumerate(kinds):
            rows = torch.tensor([_features(*number) for number in numbers], dtype=torch.float32)
            self.register_buffer(f"features{index}", rows * (SPREAD / math.sqrt(rows.shape[1] / 2)), persistent=False)
        self.blocks = [_Layer(shape) for _ in range(shape.layers)]
        self.layers = nn.ModuleList(self.blocks)
        self.norm = nn.Parameter(torch.full((width,), 1 / math.sqrt(width)))  # logits begin near 1
        self.value = nn.Linear(width, 1)
        self.register_buffer("labels", torch.tensor(words.labels()), persistent=False)
        angles = torch.outer(
            torch.arange(LENGTH), THETA ** (-torch.arange(0, shape.hidden // shape.heads, 2) / (width // shape.heads))
        )
        self.register_buffer("cosines", torch.cat((angles.cos(), angles.cos()), -1), persistent=False)
        self.register_buffer("sines", torch.cat((angles.sin(), angles.sin()), -1), persistent=False)

    def table(self) -> Tensor:
        """The embedding of every word: words x width."""
        numbers = [getattr(self, f"features{index}") @ kind for index, kind in enumerate(self.kinds)]
        return torch.cat((self.words, *numbers))

    def forward(self, tokens: Tensor, last: Tensor, table: Tensor | None = None) -> Tensor:
        """tokens: rows x length, padded behind. last: index of each row's last token. table: of `table`, where it is
        made already. Logits: rows x LABELS."""
        table = self.table() if table is None else table
        return self._answered(self._read(tokens, table), last, table)

    def scored(self, tokens: Tensor, last: Tensor, ends: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """As forward, and the values read where candidates end. ends: rows x candidates, indices."""
        states = self._read(tokens, table)
        values = self.value(states.gather(1, ends.unsqueeze(-1).expand(-1, -1, states.shape[-1])))
        return self._answered(states, last, table), values.squeeze(-1)

    def _read(self, tokens: Tensor, table: Tensor) -> Tensor:
        """Through all layers but the last: rows x length x width."""
        states = functional.embedding(tokens, table)
        for layer in self.blocks[:-1]:
            states = layer(states, self._turns(tokens.shape[1]), None)
        return states

    def _answered(self, states: Tensor, last: Tensor, table: Tensor) -> Tensor:
        state = self.blocks[-1](states, self._turns(states.shape[1]), last)
        return normed(state, self.norm) @ table[self.labels].T

    def _turns(self, length: int) -> tuple[Tensor, Tensor]:
        return self.cosines[:length], self.sines[:length]


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.hidden, shape.inner
        deep = math.sqrt(2 * shape.layers)
        self.heads = shape.heads
        self.before = nn.Parameter(torch.ones(width))
        self.between = nn.Parameter(torch.ones(width))
        self.query = _matrix(width, width)
        self.key_value = _matrix(2 * width, width)
        self.out = _matrix(width, width, deep)
        self.gate_up = _matrix(2 * inner, width)
        self.down = _matrix(width, inner, deep)

    def forward(self, states: Tensor, turns: tuple[Tensor, Tensor], last: Tensor | None) -> Tensor:
        """Rows x length x width; with `last`, of that position alone: rows x width."""
        rows, length, width = states.shape
        across = normed(states, self.before)
        keys, values = (
            functional.linear(across, self.key_value).view(rows, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        keys = turned(keys, *turns)
        if last is None:
            queries = functional.linear(across, self.query).view(rows, length, self.heads, -1).transpose(1, 2)
            mixed = functional.scaled_dot_product_attention(turned(queries, *turns), keys, values, is_causal=True)
            mixed = mixed.transpose(1, 2).reshape(rows, length, width)
        else:
            row = torch.arange(rows)
            queries = functional.linear(across[row, last], self.query).view(rows, self.heads, -1)
            queries = turned(queries, turns[0][last].unsqueeze(1), turns[1][last].unsqueeze(1))
            seen = torch.arange(length) <= last.unsqueeze(1)
            mixed = functional.scaled_dot_product_attention(
                queries.unsqueeze(2), keys, values, attn_mask=seen[:, None, None, :]
            ).reshape(rows, width)
            states = states[row, last]
        states = states + functional.linear(mixed, self.out)
        gate, up = functional.linear(normed(states, self.between), self.gate_up).chunk(2, -1)
        return states + functional.linear(functional.silu(gate) * up, self.down)


def normed(states: Tensor, scale: Tensor) -> Tensor:
    return functional.rms_norm(states, (states.shape[-1],), scale, EPSILON)


def turned(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary position embedding (Su et al., 2021), halves as Llama has them."""
    low, high = states.chunk(2, -1)
    return states * cosines + torch.cat((-high, low), -1) * sines


def _matrix(rows: int, columns: int, smaller: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) / (math.sqrt(columns) * smaller))


def _kinds(numbers: Mapping[int, Number]) -> list[list[Number]]:
    """Runs of the numbers of one type, in order of their ids."""
    kinds: list[list[Number]] = []
    for _, number in sorted(numbers.items()):
        if not kinds or kinds[-1][-1].type is not number.type:
            kinds.append([])
        kinds[-1].append(number)
    return kinds


_SCALES: Mapping[Type, tuple[float, float]] = {
    Type.COUNT: (10, 100),
    Type.NUMBER: (10, 100),
    Type.PERCENT: (10, 100),
    Type.DURATION: (60, 3600),
    Type.BYTES: (16 * 2**30, 256 * 2**30),
    Type.RATE: (1, 10),
}
"""Values that are told apart finely from each other on a linear scale."""

_FLOOR: Mapping[Type, float] = {Type.BYTES: 1.0, Type.DURATION: 1e-3}
_PERIODS = tuple(2.0**power for power in range(2, -5, -1))


def _features(kind: Type, value: float) -> list[float]:
    decades = math.log10(max(value, 1e-3) / _FLOOR.get(kind, 1e-3)) / 4
    positions = (decades, *(min(value / scale, 4.0) for scale in _SCALES[kind]))
    waves = [
        wave(2 * math.pi * position / period)
        for position in positions
        for period in _PERIODS
        for wave in (math.sin, math.cos)
    ]
    return [1.0, float(value == 0), *positions, *waves]


_LAYER: Mapping[str, tuple[str, ...]] = {
    "before": ("input_layernorm",),
    "between": ("post_attention_layernorm",),
    "query": ("self_attn.q_proj",),
    "key_value": ("self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""What `LlamaForCausalLM` calls the parameters of a layer. Two names: it has the two halves apart."""

_TABLE, _NORM = "model.embed_tokens.weight", "model.norm.weight"


def weights(network: Network) -> dict[str, Tensor]:
    """Under the names of `LlamaForCausalLM`, float32."""
    found = {_TABLE: network.table(), _NORM: network.norm}
    for number, layer in enumerate(network.blocks):
        for ours, theirs in _LAYER.items():
            parts = getattr(layer, ours).chunk(len(theirs))
            found |= {_in_layer(number, name): part for name, part in zip(theirs, parts, strict=True)}
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def parameters(shape: Shape, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """The way back from `weights`: what a `Network` has under its own names, and its table."""
    found = {"norm": weights[_NORM]}
    for number in range(shape.layers):
        for ours, theirs in _LAYER.items():
            parts = [weights[_in_layer(number, name)] for name in theirs]
            found[f"layers.{number}.{ours}"] = torch.cat(parts)
    return found, weights[_TABLE]


def _in_layer(number: int, name: str) -> str:
    return f"model.layers.{number}.{name}.weight"


def configuration(shape: Shape, words: Words) -> dict[str, Any]:
    """config.json of `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.hidden // shape.heads,
        "hidden_act": "silu",
        "max_position_embeddings": LENGTH,
        "rms_norm_eps": EPSILON,
        "rope_theta": THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "vocab_size": len(words.ids),
        "pad_token_id": words.pad,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }


def size(network: Network) -> int:
    """Parameters as they ship."""
    return sum(tensor.numel() for tensor in weights(network).values())


def losses(logits: Tensor, right: Tensor, offered: Tensor) -> Tensor:
    """Of each row: minus the mean over completions of the logarithm of the probability that the choice is right.

    right: rows x completions x LABELS, whether each is right there. offered: rows x LABELS. The softmax is over what is
    offered alone.
    """
    logs = functional.log_softmax(logits.masked_fill(~offered, -torch.inf), -1).unsqueeze(1)
    return -torch.logsumexp(logs.masked_fill(~right, -torch.inf), -1).mean(-1)
