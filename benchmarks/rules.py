"""Ten threshold rules over twelve fields, the same random cases through TIKI and through other rule engines.

    python -m benchmarks.rules [--json] [--cases N] [--rounds N]

Every decision of every engine is compared with a plain reading of the rules; a wrong one ends the run with status 1.
One process pinned to one core, CPU time, median of the rounds. Each engine gets its rules parsed and its cases in its
own form beforehand. A trace keeps the truth of every comparison; rendering it as text is not measured.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import tiki

FIELDS = tuple(f"field_{letter}" for letter in "abcdefghijkl")
RULES: tuple[tuple[tuple[int, str, int], ...], ...] = (
    ((0, ">", 95),),
    ((1, ">", 90), (2, ">", 60)),
    ((3, "<", 4),),
    ((4, ">=", 88), (5, "<", 40)),
    ((6, ">", 96),),
    ((7, "<=", 10), (8, ">", 70)),
    ((9, ">", 93),),
    ((10, "<", 12), (11, ">=", 80)),
    ((0, ">", 80), (4, ">", 80)),
    ((2, "<", 15), (6, ">=", 85)),
)
"""In order; the first that holds decides. Each is (field, comparison, threshold), joined by `and`."""

NOTE = (
    "From Python, crossing into the other engine dominates its figure, which favours TIKI: its rules become a Python "
    "function. The figures say little about these engines in their own languages."
)
Case = tuple[float, ...]
_HOLDS: dict[str, Callable[[float, int], bool]] = {
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
}


@dataclass(frozen=True)
class Result:
    """decisions_per_s: the median of the rounds, per second of CPU time, with the slowest and the fastest round."""

    engine: str
    decisions_per_s: int
    slowest: int
    fastest: int
    wrong: int


@dataclass(frozen=True)
class Engine:
    """prepare: a case in the engine's own form. decide: what is timed. index: the deciding rule of an answer, or -1."""

    name: str
    prepare: Callable[[Case], Any]
    decide: Callable[[Any], Any]
    index: Callable[[Any], int]


def oracle(case: Case) -> int:
    for number, rule in enumerate(RULES):
        if all(_HOLDS[sign](case[field], limit) for field, sign, limit in rule):
            return number
    return -1


def _tiki_program() -> tiki.Program:
    point = tiki.Point(
        name="bench.rules",
        version=1,
        doc="Ten threshold rules.",
        facts=tuple(tiki.Fact(name=name, type=tiki.Type.PERCENT, doc="A field.") for name in FIELDS),
        actions=(tiki.Action(name="hold", doc="Nothing."), tiki.Action(name="move", doc="Something.")),
        terminal="hold",
    )
    clauses = "\n".join(f"- when {_condition(rule, '%', ' and ')}: move" for rule in RULES)
    text = f"## BENCH Rules Spec\n- decides: bench.rules\n- fallback: hold\n\n{clauses}\n- otherwise: hold\n"
    return tiki.build([tiki.Source("rules.tiki", text)], {point.name: point}).programs[point.name]


def _condition(rule: Sequence[tuple[int, str, int]], unit: str, joined: str, prefix: str = "") -> str:
    return joined.join(f"{prefix}{FIELDS[field]} {sign} {limit}{unit}" for field, sign, limit in rule)


def tiki_engines() -> list[Engine]:
    program = _tiki_program()
    decide, explain = program.decide, program.explain
    return [
        Engine("tiki", lambda case: case, lambda case: decide(case, ()), lambda verdict: verdict.index),
        Engine("tiki, traced", lambda case: case, lambda case: explain(case, ()), lambda trace: trace.verdict.index),
    ]


def cel_engine() -> Engine:
    from cel_expr_python import cel

    env = cel.NewEnv(variables=dict.fromkeys(FIELDS, cel.Type.DOUBLE))
    chain = "".join(f"({_condition(rule, '.0', ' && ')}) ? {number} : " for number, rule in enumerate(RULES)) + "-1"
    expression = env.compile(chain)
    return Engine(
        f"cel-expr-python {version('cel-expr-python')}",
        lambda case: dict(zip(FIELDS, case, strict=True)),
        lambda data: expression.eval(data=data).value(),
        int,
    )


def zen_engine() -> Engine:
    import zen

    columns = [{"id": f"i{field}", "name": name, "field": name} for field, name in enumerate(FIELDS)]
    rows = [
        {"_id": str(number), "o": str(number)} | {f"i{field}": f"{sign} {limit}" for field, sign, limit in rule}
        for number, rule in enumerate(RULES)
    ]
    outputs = [{"id": "o", "name": "rule", "field": "rule"}]
    table = {"hitPolicy": "first", "inputs": columns, "outputs": outputs, "rules": rows}
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode", "position": {"x": 0, "y": 0}},
        {"id": "table", "name": "table", "type": "decisionTableNode", "content": table, "position": {"x": 0, "y": 0}},
        {"id": "out", "name": "out", "type": "outputNode", "position": {"x": 0, "y": 0}},
    ]
    edges = [
        {"id": "1", "type": "edge", "sourceId": "in", "targetId": "table"},
        {"id": "2", "type": "edge", "sourceId": "table", "targetId": "out"},
    ]
    decision = zen.ZenEngine().create_decision(json.dumps({"nodes": nodes, "edges": edges}))
    return Engine(
        f"zen-engine {version('zen-engine')}",
        lambda case: dict(zip(FIELDS, case, strict=True)),
        decision.evaluate,
        lambda answer: int(answer["result"]["rule"]) if answer["result"] else -1,
    )


def cedar_engine() -> Engine:
    import cedarpy

    text = "\n".join(
        f'@id("{number}")\npermit(principal, action, resource) when {{ {_condition(rule, "", " && ", "context.")} }};'
        for number, rule in enumerate(RULES)
    )
    policies = cedarpy.PolicySet.from_str(text)
    entities = cedarpy.Entities.from_json_str("[]")
    who = {"principal": 'N::"n"', "action": 'A::"move"', "resource": 'R::"r"'}

    def index(answer: Any) -> int:
        return min((int(reason.removeprefix("policy")) for reason in answer.diagnostics.reasons), default=-1)

    return Engine(
        f"cedarpy {version('cedarpy')}",
        lambda case: who | {"context": {name: int(value) for name, value in zip(FIELDS, case, strict=True)}},
        lambda request: cedarpy.is_authorized(request, policies, entities),
        index,
    )


def measure(engine: Engine, cases: Sequence[Case], expected: Sequence[int], rounds: int) -> Result:
    prepared = [engine.prepare(case) for case in cases]
    decide = engine.decide
    wrong = sum(engine.index(decide(one)) != right for one, right in zip(prepared, expected, strict=True))
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for one in prepared:
            decide(one)
        rates.append(len(prepared) / (time.process_time() - start))
    return Result(engine.name, round(statistics.median(rates)), round(min(rates)), round(max(rates)), wrong)


def machine() -> dict[str, str | int]:
    model = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_argument("--cases", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    draw = random.Random(7)
    cases = [tuple(float(draw.randrange(101)) for _ in FIELDS) for _ in range(options.cases)]
    expected = [oracle(case) for case in cases]
    engines = [*tiki_engines(), cel_engine(), zen_engine(), cedar_engine()]
    results = [measure(engine, cases, expected, options.rounds) for engine in engines]
    wrong = sum(result.wrong for result in results)
    if options.json:
        about = {"machine": machine(), "cases": options.cases, "rounds": options.rounds, "note": NOTE}
        print(json.dumps(about | {"results": [asdict(result) for result in results]}))
        return 1 if wrong else 0
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"{options.cases} cases, {options.rounds} rounds, decisions a second of CPU time\n")
    print(f"{'engine':<26}{'median':>12}{'slowest':>12}{'fastest':>12}{'wrong':>8}")
    for result in results:
        print(
            f"{result.engine:<26}{result.decisions_per_s:>12,}{result.slowest:>12,}{result.fastest:>12,}{result.wrong:>8}"
        )
    print(f"\n{NOTE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
