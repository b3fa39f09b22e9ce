"""Whether a training fits a card: steps of a preset, with random weights of the shape that it is made for. Needs a GPU.

    python -m benchmarks.qlora [--preset NAME] [--method NAME] [--memory GiB] [--steps N] [--json]

The weights are made here and nothing is downloaded; the decisions that it learns from are simulated. The process is
held to `--memory` GiB of the card, however large that is: what fits there fits a card of that size, and a step that
does not ends with status 1. The speed is that of the card that is printed, not of one that has so much memory. Beside
what was measured stands what `elias train METHOD --dry-run` foretells of the same prompts.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.machine import machine
from federation.errors import Refused
from federation.policy.question import LABELS, Scores
from federation.policy.rendering import render
from training.dataset.simulated import logged
from training.learning import preset as presets
from training.learning.estimate import GIB, lengths, memory
from training.learning.preset import Preset, Shape
from training.learning.run import judge, train
from training.learning.trainer import Seen
from training.scenarios.generate import scenario

POINT = "urm.resource_pressure"
EXPLORED = 0.1
HELD = 40  # decisions to validate on
PIECE = 2  # characters of a token, with which a prompt has as many as with the tokenizer of a public model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="deepseek-coder-6.7b-16gb", help="one that ships, or a file")
    parser.add_argument("--method", choices=presets.METHODS, default="grpo")
    parser.add_argument("--memory", type=float, default=16.0, help="GiB of the card that may be used")
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("qlora: there is no GPU here, so nothing was measured", file=sys.stderr)
        return 1
    torch.cuda.set_per_process_memory_fraction(min(1.0, given.memory * GIB / torch.cuda.mem_get_info()[1]))
    try:
        found = measure(presets.load(given.preset), given.method, given.steps)
    except (Refused, torch.OutOfMemoryError) as error:
        print(f"qlora: {error}", file=sys.stderr)
        return 1
    found = {"machine": machine(), "card": torch.cuda.get_device_name(), "held_to_gib": given.memory} | found
    print(json.dumps(found) if given.json else _words(found))
    return 0


def measure(preset: Preset, method: str, steps: int) -> dict[str, Any]:
    """Trains for so many steps and one before them, which reserves memory and chooses kernels. Of the times the median
    counts, for every third step is followed by a validation. Raises Refused."""
    shape = preset.shape
    if shape is None:
        cure = "choose one with `shape`, such as deepseek-coder-6.7b-16gb"
        raise Refused("no-shape", "the preset is for no shape of model", place="--preset", cure=cure)
    course = preset.course(method).model_copy(update={"passes": 1, "steps": 0})
    preset = preset.model_copy(update={method: course})
    world = scenario(POINT)
    count = course.batch * (steps + 1)
    examples = list(world.examples("train", count + HELD))
    log = logged(world, examples, lambda asked: [_even(len(one.candidates)) for one in asked], EXPLORED)
    times: list[float] = []
    with tempfile.TemporaryDirectory() as kept:
        start = Path(kept) / "model"
        write_model(start, shape, preset.precision)
        texts = [render(world.point.schema, one.question).text for one in log]
        length = lengths(start, texts)
        judged = judge(method, preset, log[:count], log[count:])
        taken = train(method, preset, start, judged, Path(kept) / "run", lambda seen: _timed(times, seen))
    seconds = statistics.median(after - before for before, after in itertools.pairwise(times))
    return {
        "method": method,
        "steps": taken.steps,
        "tokens": {"mean": round(length.mean), "longest": length.longest},
        "examples_per_s": round(course.batch / seconds, 2),
        "seconds_per_step": round(seconds, 2),
        "gib": round(_peak() / GIB, 2),
        "foretold_gib": round(memory(shape, preset, method, length.longest).total / GIB, 2),
    }


def write_model(folder: Path, shape: Shape, precision: str) -> None:
    """A Llama of random weights, and a tokenizer for which pieces of two characters are a token."""
    folder.mkdir()
    words = ["<unk>", "<s>", *(f" {label}" for label in LABELS)]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(f"[\\s\\S]{{1,{PIECE}}}"), "isolated")
    made.save(str(folder / "tokenizer.json"))
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "<s>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        vocab_size=shape.words,
        tie_word_embeddings=shape.tied,
        bos_token_id=1,
        eos_token_id=1,
        dtype=precision,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, precision))
    try:
        LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    finally:
        torch.set_default_dtype(before)


def _even(candidates: int) -> Scores:
    return (0.0,) * candidates


def _timed(times: list[float], seen: Seen) -> None:
    """seen: also of validations, at which the step has not grown."""
    if seen.step > len(times):
        times.append(time.perf_counter())


def _peak() -> int:
    """Bytes of the card that were reserved at most, the context of CUDA left out; 0 on a processor."""
    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0


def _words(found: dict[str, Any]) -> str:
    tokens = found["tokens"]
    return (
        f"{found['card']} held to {found['held_to_gib']:g} GiB; {found['machine']}\n"
        f"{found['method']}: {found['steps']} steps, prompts of {tokens['mean']} tokens (longest {tokens['longest']})\n"
        f"{found['examples_per_s']} examples/s, {found['seconds_per_step']} s a step\n"
        f"{found['gib']} GiB at most; foretold {found['foretold_gib']} GiB"
    )


if __name__ == "__main__":
    sys.exit(main())
