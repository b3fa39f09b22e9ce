"""The policy through the whole cascade, beside the same engine driven directly.

Questions of the simulated cluster that the shipped specs leave open. Directly: rendered prompts handed to the engine,
64 at a time: ONNX Runtime in this process, or a vLLM server of the same policy over HTTP, which is started for it.
Through the cascade: the same questions as events over HTTP, in batches of 100 from four clients; each is asked, scored,
weighed and answered, and committed to the disk before it is acknowledged. Both choose, and every choice of the cascade
is compared. The rounds take turns, so both sides have the same machine.

    python -m benchmarks.cascade [--engine vllm] [--questions 4000] [--rounds 5] [--json]
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.machine import machine
from benchmarks.running import Running
from federation.policy import card
from federation.policy.embedded import Embedded
from federation.policy.question import LABELS, Prompt, Scores
from federation.policy.rendering import render
from federation.policy.tier import SHIPPED
from federation.policy.vllm import Vllm
from tests.ports import free_port
from training.scenarios.generate import generate, scenario
from training.scenarios.scenario import Example

POINTS = ("ucm.coordination", "uim.rollout")  # their facts are in the event as they come
BATCH = 100
CLIENTS = 4
DIRECT = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("embedded", "vllm"), default="embedded")
    parser.add_argument("--questions", type=int, default=4000, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    examples = [e for point in POINTS for e in generate(point, "test", options.questions // len(POINTS), completions=1)]
    prompts = [render(scenario(e.question.point).point.schema, e.question) for e in examples]
    serving = _in_process() if options.engine == "embedded" else _over_http()
    with (
        tempfile.TemporaryDirectory(prefix="elias-cascade-") as folder,
        serving as (engine, settings),
        asyncio.Runner() as loop,
        Running(Path(folder), _SETTINGS + settings) as elias,
    ):
        choices = loop.run(_score(engine, prompts))
        _through(elias, examples[: 4 * BATCH], choices, "warm")
        direct, cascade, alone = [], [], 0
        for number in range(options.rounds):
            begun = time.perf_counter()
            loop.run(_score(engine, prompts))
            direct.append(len(prompts) / (time.perf_counter() - begun))
            rate, alone = _through(elias, examples, choices, str(number))
            cascade.append(rate)
        loop.run(engine.close())
    share = statistics.median(c / d for c, d in zip(cascade, direct, strict=True))
    result = {
        "machine": machine(),
        "engine": options.engine,
        "questions": len(prompts),
        "direct_per_s": _spread(direct),
        "cascade_per_s": _spread(cascade),
        "share": round(share, 3),
        "decided_alone": round(alone / len(prompts), 3),
    }
    if options.json:
        print(json.dumps(result))
        return
    print(machine())
    print(f"engine {options.engine}, {len(prompts)} questions, {options.rounds} rounds in turn")
    print(f"  {'decisions a second':20} {'median':>7} {'least':>7} {'most':>7}")
    for name, rates in (("directly", direct), ("through the cascade", cascade)):
        spread = _spread(rates)
        print(f"  {name:20} {spread['median']:>7,} {spread['min']:>7,} {spread['max']:>7,}")
    print(f"the cascade does {share:.0%} of what the engine does; it decided {alone / len(prompts):.0%} alone")


_SETTINGS = "policy:\n  audit: 0\n  deadline: 10s\n"
"""No answer is held back for a check, and the queue of the benchmark's own making is not a failure."""


class Engine(Protocol):
    """What is driven directly."""

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]: ...

    async def close(self) -> None: ...


@contextlib.contextmanager
def _in_process() -> Iterator[tuple[Engine, str]]:
    """The engine, and the settings by which a federation has the same one."""
    yield Embedded(SHIPPED), ""


@contextlib.contextmanager
def _over_http() -> Iterator[tuple[Engine, str]]:
    """The same for a server of the shipped policy, as `elias policy serve` keeps it."""
    port = free_port()
    command = [sys.executable, "-m", "managers.uim.cli", "policy", "serve", "--profile", "cpu", "--port", str(port)]
    url, model = f"http://127.0.0.1:{port}", card.read(SHIPPED).version
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            while not _answers(url):
                if server.poll() is not None:
                    said.seek(0)
                    sys.exit(f"vLLM did not start:\n{said.read()[-2000:]}")
                time.sleep(0.5)
            yield Vllm(url, model), f"  engine: vllm\n  replicas: [{url}]\n  model: {model}\n"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except OSError:
        return False


async def _score(engine: Engine, prompts: Sequence[Prompt]) -> list[int]:
    """The most likely label of each."""
    chosen = []
    for start in range(0, len(prompts), DIRECT):
        for scores in await engine.score(prompts[start : start + DIRECT], 60.0):
            chosen.append(max(range(len(scores)), key=scores.__getitem__))
    return chosen


def _through(elias: Running, examples: Sequence[Example], choices: Sequence[int], round_: str) -> tuple[float, int]:
    """Decisions a second, and how many the policy gave alone. Ends the program when a choice is another one."""
    batches = [range(at, min(at + BATCH, len(examples))) for at in range(0, len(examples), BATCH)]
    alone, problems = [0] * CLIENTS, list[str]()

    def client(which: int) -> None:
        connection = http.client.HTTPConnection(elias.host, elias.port, timeout=60)
        for batch in batches[which::CLIENTS]:
            events = [_event(examples[at], f"{round_}-{at}") for at in batch]
            answer: Any = elias.post(connection, events)
            for at, result in zip(batch, answer["results"], strict=True):
                (decision,) = result.get("decisions") or [{"tier": "none", "error": result}]
                expected = examples[at].question.candidates[choices[at]]
                if decision["tier"] == "policy":
                    alone[which] += 1
                    if decision["action"] != expected.action:
                        problems.append(f"{decision['action']} where {LABELS[choices[at]]} is {expected.action}")
                elif decision["tier"] != "operator":
                    problems.append(str(decision)[:300])

    threads = [threading.Thread(target=client, args=(which,)) for which in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        sys.exit(f"{len(problems)} of {len(examples)} wrong, the first: {problems[0]}")
    return len(examples) / (time.perf_counter() - begun), sum(alone)


def _event(example: Example, id: str) -> dict[str, Any]:
    """The event that asks this question; a subject of its own, so that nothing is in force for it."""
    point = scenario(example.question.point).point
    return {
        "specversion": "1.0",
        "id": id,
        "source": "benchmark",
        "type": point.events[0],
        "subject": id,
        "data": dict(example.question.facts),
    }


def _spread(rates: Sequence[float]) -> dict[str, int]:
    return {"median": round(statistics.median(rates)), "min": round(min(rates)), "max": round(max(rates))}


if __name__ == "__main__":
    main()
