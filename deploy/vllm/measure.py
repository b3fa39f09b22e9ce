"""What a profile does on this machine's GPUs, with random weights in the shape of a public model. Downloads nothing.

    python deploy/vllm/measure.py --profile one-gpu --memory 16 --output measured.json

Each server is held to `--memory` GiB, however large the card is. That shows what fits; the times are those of this
card, not of one that has so much memory. Where a profile wants more cards than there are, its servers share them, if
each needs one card alone; a server that spans several is left out, and the output says so.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any

import pynvml

from federation.errors import EliasError
from federation.policy import profiles
from federation.policy.plan import GIB, MODELS, USABLE, Shape, plan
from federation.policy.question import LABELS, Prompt
from federation.policy.vllm import Vllm

nvml: Any = pynvml
NAME = "measured"
PORT = 8790
START = 900.0  # seconds for a server to come up
WORDS = 8000  # of the vocabulary that prompts are made of
CALLERS = (1, 8, 32, 64)  # decisions that are asked at the same time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--profile", action="append", choices=profiles.names(), help="may be given again; default: one-gpu"
    )
    parser.add_argument(
        "--model", choices=MODELS, default="deepseek-ai/deepseek-coder-6.7b-instruct", help="whose shape"
    )
    parser.add_argument("--memory", type=float, default=16.0, help="GiB that a server's card is taken to have")
    parser.add_argument("--tokens", type=int, default=600, help="length of a prompt")
    parser.add_argument("--shared", type=int, default=450, help="tokens at its beginning that all prompts share")
    parser.add_argument("--seconds", type=float, default=20.0, help="of load for each number of callers")
    parser.add_argument("--output", type=Path, help="file; by default standard output")
    given = parser.parse_args()
    nvml.nvmlInit()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), MODELS[given.model])
        measured = [measure(name, Path(folder), given) for name in given.profile or ["one-gpu"]]
    result = {"machine": machine(), "model": given.model, "weights": "random", "memory_gib": given.memory}
    text = json.dumps(result | {"tokens": given.tokens, "shared": given.shared, "profiles": measured}, indent=2)
    given.output.write_text(text + "\n") if given.output else print(text)


def machine() -> dict[str, Any]:
    handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    return {
        "gpus": [nvml.nvmlDeviceGetName(handle) for handle in handles],
        "driver": nvml.nvmlSystemGetDriverVersion(),
        "python": sys.version.split()[0],
        **{name: installed(name) for name in ("vllm", "torch")},
    }


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write_model(folder: Path, shape: Shape) -> None:
    """A config and a tokenizer of words within the model's vocabulary; the weights are made while it is loaded."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - needed on a GPU machine alone

    words = ["<unk>", "<s>", *LABELS, *(f"w{number}" for number in range(WORDS))]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))  # noqa: S106
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(folder / "tokenizer.json"))
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "<s>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config))


def measure(name: str, model: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One profile: what fits, and how fast it is. Where it does not come up, why."""
    profile = profiles.load(name)
    there = nvml.nvmlDeviceGetCount()
    if profile.tensor_parallel > there:
        return {"profile": name, "left_out": f"a server spans {profile.tensor_parallel} cards, and {there} are here"}
    cards = [str(number % there) for number in range(profile.cards)]
    held = given.memory * USABLE * GIB / nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(0)).total
    arguments = {**profile.arguments, "gpu-memory-utilization": round(held, 4), "load-format": "dummy"}
    profile = profile.model_copy(update={"arguments": arguments})
    ports = [PORT + number for number in range(profile.servers)]
    launches = profiles.launches(profile, str(model), name=NAME, ports=ports, cards=cards)
    said: dict[str, Any] = {"profile": name, "servers": profile.servers, "held_to": round(held, 4), "cards": cards}
    logs = [model / f"{name}-{port}.log" for port in ports]
    try:
        with serving(launches, logs):
            asyncio.run(healthy([launch.url for launch in launches]))
            said["cache_tokens"] = [cache_of(log) for log in logs]
            said["memory_used_gib"] = used()
            said["load"] = asyncio.run(loads([launch.url for launch in launches], given))
    except EliasError as error:
        said |= {"failed": str(error), "log": [log.read_text(errors="replace")[-3000:] for log in logs]}
    return said | {"predicted": predicted(given)}


@contextlib.contextmanager
def serving(launches: Sequence[profiles.Launch], logs: Sequence[Path]) -> Iterator[None]:
    """One after the other: a server takes stock of the memory while it starts."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for launch, log in zip(launches, logs, strict=True):
            with log.open("wb") as file:
                environment = {**os.environ, **launch.environment}
                started.append(
                    subprocess.Popen(launch.command, env=environment, stdout=file, stderr=file, start_new_session=True)
                )
            asyncio.run(healthy([launch.url], started[-1]))
        yield
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def healthy(urls: Sequence[str], process: subprocess.Popen[bytes] | None = None) -> None:
    """Returns when all answer; raises the last error when one does not within START, or its process has ended."""
    deadline = time.monotonic() + START
    for url in urls:
        engine = Vllm(url, NAME)
        try:
            while True:
                try:
                    await engine.health(30)
                    break
                except EliasError:
                    if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                        raise
                    await asyncio.sleep(1)
        finally:
            await engine.close()


def cache_of(log: Path) -> int | None:
    """Tokens that the cache holds, as vLLM says when it starts."""
    found = re.search(r"KV cache size: ([\d,]+) tokens", log.read_text(errors="replace"))
    return int(found[1].replace(",", "")) if found else None


def used() -> list[float]:
    handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    return [round(nvml.nvmlDeviceGetMemoryInfo(handle).used / GIB, 2) for handle in handles]


async def loads(urls: Sequence[str], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Closed loop: each caller asks the next decision when it has its answer. First with nothing of a prompt cached."""
    rows = []
    for shared in (0, given.shared):
        for callers in CALLERS:
            rows.append(await load(urls, callers, shared, given))
    return rows


async def load(urls: Sequence[str], callers: int, shared: int, given: argparse.Namespace) -> dict[str, Any]:
    engines = [Vllm(url, NAME) for url in urls]
    random = Random(callers * 1000 + shared)  # noqa: S311 - a load, no secret
    beginning = " ".join(f"w{random.randrange(WORDS)}" for _ in range(shared))
    times: list[float] = []
    end = time.monotonic() + given.seconds

    async def caller(number: int) -> None:
        while (began := time.monotonic()) < end:
            rest = " ".join(f"w{random.randrange(WORDS)}" for _ in range(given.tokens - shared))
            await engines[number % len(engines)].score([Prompt(f"{beginning} {rest}".strip(), 6)], 120)
            times.append(time.monotonic() - began)

    try:
        await asyncio.gather(*(engine.score([Prompt(beginning or "w1", 6)], 120) for engine in engines))
        began = time.monotonic()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        took = time.monotonic() - began
    finally:
        for engine in engines:
            await engine.close()
    times.sort()
    return {
        "callers": callers,
        "cached_tokens": shared,
        "decisions": len(times),
        "decisions_per_second": round(len(times) / took, 1),
        "p50_ms": round(statistics.median(times) * 1e3, 1),
        "p99_ms": round(times[math.ceil(len(times) * 0.99) - 1] * 1e3, 1),
    }


def predicted(given: argparse.Namespace) -> dict[str, Any]:
    """The plan of two such cards, as `elias policy plan` prints it."""
    return plan(
        given.model, MODELS[given.model], 2, given.memory * GIB, "rtx-5060-ti", tokens=given.tokens, cached=given.shared
    ).data()


if __name__ == "__main__":
    main()
