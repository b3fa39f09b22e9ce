"""The embedded policy driven directly: decisions a second in batches, and how long one takes alone.

    python -m benchmarks.policy [--json] [--decisions N] [--policy FOLDER]

Questions of every decision point in turn, in one process, with what reading them as text and cutting them into tokens
takes. Ends with status 1 below 300 decisions a second, or above 25 ms at the 99th percentile.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from federation.policy.embedded import Embedded
from federation.policy.question import Prompt, Question
from federation.policy.rendering import render
from federation.policy.tier import SHIPPED
from tiki.schema import Point

BATCH = 64
PATIENCE = 60.0
LEAST, MOST = 300.0, 25.0


def questions(count: int) -> list[tuple[Point, Question]]:
    from training.scenarios.generate import points, scenario

    scenarios = [scenario(name) for name in points()]
    each = -(-count // len(scenarios))
    found = [[(s.point.schema, e.question) for e in s.examples("test", each, completions=1)] for s in scenarios]
    return list(islice((one for turn in zip(*found, strict=True) for one in turn), count))


async def measure(engine: Embedded, asked: Sequence[tuple[Point, Question]]) -> dict[str, float]:
    began = time.perf_counter()
    prompts: list[Prompt] = [render(schema, question) for schema, question in asked]
    rendering = time.perf_counter() - began
    await engine.score(prompts[:BATCH], PATIENCE)
    began, spent = time.perf_counter(), time.process_time()
    for at in range(0, len(prompts), BATCH):
        await engine.score(prompts[at : at + BATCH], PATIENCE)
    batched, spent = time.perf_counter() - began, time.process_time() - spent
    alone = []
    for prompt in prompts[: max(200, len(prompts) // 4)]:
        began = time.perf_counter()
        await engine.score([prompt], PATIENCE)
        alone.append(1000 * (time.perf_counter() - began))
    alone.sort()
    return {
        "decisions": len(prompts),
        "tokens": sum(len(prompt.text.split()) for prompt in prompts) / len(prompts),
        "rendering_us": 1e6 * rendering / len(prompts),
        "decisions_per_s": len(prompts) / (batched + rendering),
        "cpu_ms": 1000 * spent / len(prompts),
        "p50_ms": alone[len(alone) // 2],
        "p99_ms": alone[int(0.99 * (len(alone) - 1))],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--decisions", type=int, default=4000)
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    options = parser.parse_args()
    engine = Embedded(options.policy)
    found = asyncio.run(measure(engine, questions(options.decisions)))
    found |= {"cores": len(os.sched_getaffinity(0)), "parameters": engine.card.parameters}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{found['decisions_per_s']:.0f} decisions/s in batches of {BATCH} on {found['cores']} cores,")
        print(f"  {found['tokens']:.0f} tokens each, {found['cpu_ms']:.2f} ms of processor time,")
        print(f"  {found['rendering_us']:.0f} us of rendering")
        print(f"{found['p50_ms']:.2f} ms alone at the median, {found['p99_ms']:.2f} ms at the 99th percentile")
    return int(found["decisions_per_s"] < LEAST or found["p99_ms"] > MOST)


if __name__ == "__main__":
    sys.exit(main())
