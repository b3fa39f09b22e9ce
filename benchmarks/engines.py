"""Rule engines that can be called from Python, each deciding by the same rules: the first that holds.

Each gets its rules in the form that its own users would write, and its cases in its own form beforehand. Where it
cannot say something, `bridged` tells how that was done.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import tiki
from tiki import Action, Fact, Point, Source, Type
from tiki.read import MOST_BULLETS

FIELDS = tuple(f"field_{letter}" for letter in "abcdefghijkl")
Rule = tuple[tuple[int, str, int], ...]
"""(field, comparison, threshold), joined by `and`."""
Case = tuple[float, ...]
"""A value from 0 to 100 of each field."""


@dataclass(frozen=True)
class Engine:
    """prepare: a case in the engine's own form. decide: what is timed. index: the deciding rule of an answer, or -1.
    bridged: what the engine does not have of this."""

    name: str
    prepare: Callable[[Case], Any]
    decide: Callable[[Any], Any]
    index: Callable[[Any], int]
    bridged: str = ""


@dataclass(frozen=True)
class Compiler:
    """read: texts of sets of rules, in the engine's own language. compile: from them to what can decide; timed.
    bridged: what is compiled in place of such sets."""

    name: str
    read: Callable[[Sequence[Sequence[Rule]]], Any]
    compile: Callable[[Any], object]
    bridged: str = ""


def named(case: Case) -> dict[str, float]:
    return dict(zip(FIELDS, case, strict=True))


def condition(rule: Rule, unit: str, joined: str, prefix: str = "") -> str:
    return joined.join(f"{prefix}{FIELDS[field]} {sign} {limit}{unit}" for field, sign, limit in rule)


def chain(rules: Sequence[Rule]) -> str:
    """CEL: `(...) ? 0 : (...) ? 1 : -1`."""
    return "".join(f"({condition(rule, '.0', ' && ')}) ? {number} : " for number, rule in enumerate(rules)) + "-1"


# ---------------------------------------------------------------- TIKI

Given = tuple[list[Source], dict[str, Point]]


def point(name: str) -> Point:
    return Point(
        name=name,
        version=1,
        doc="Threshold rules.",
        facts=tuple(Fact(name=field, type=Type.PERCENT, doc="A field.") for field in FIELDS),
        actions=(Action(name="hold", doc="Nothing."), Action(name="move", doc="Something.")),
        terminal="hold",
    )


def spec(name: str, rules: Sequence[Rule]) -> str:
    clauses = "\n".join(f"- when {condition(rule, '%', ' and ')}: move" for rule in rules)
    return f"## BENCH Rules Spec\n- decides: {name}\n- fallback: hold\n\n{clauses}\n- otherwise: hold\n"


def tiki_engines(rules: Sequence[Rule]) -> list[Engine]:
    name = "bench.rules"
    program = tiki.build([Source("rules.tiki", spec(name, rules))], {name: point(name)}).programs[name]
    decide, explain = program.decide, program.explain
    return [
        Engine("tiki", lambda case: case, lambda case: decide(case, ()), lambda verdict: verdict.index),
        Engine("tiki, traced", lambda case: case, lambda case: explain(case, ()), lambda trace: trace.verdict.index),
    ]


def tiki_compilers() -> list[Compiler]:
    def bundle(sets: Sequence[Sequence[Rule]]) -> Given:
        names = [f"bench.rules_{number}" for number in range(len(sets))]
        sources = [Source(f"{name}.tiki", spec(name, rules)) for name, rules in zip(names, sets, strict=True)]
        return sources, {name: point(name) for name in names}

    def file(sets: Sequence[Sequence[Rule]]) -> Given:
        sources, points = bundle([rules[: MOST_BULLETS // 5 - 3] for rules in sets[:5]])
        return [Source("rules.tiki", "\n".join(source.text for source in sources))], points

    checked = "types, units, names and all that needs no solver are checked on the way"
    limit = f"a file at its limit of {MOST_BULLETS:,} bullets, for 5 points"
    return [
        Compiler("tiki, a bundle", bundle, lambda given: tiki.build(*given), checked),
        Compiler("tiki, one file", file, lambda given: tiki.build(*given), limit),
    ]


# ---------------------------------------------------------------- CEL


def cel_cpp(rules: Sequence[Rule]) -> Engine:
    from cel_expr_python import cel

    env = cel.NewEnv(variables=dict.fromkeys(FIELDS, cel.Type.DOUBLE))
    expression = env.compile(chain(rules))
    return Engine(
        f"cel-expr-python {version('cel-expr-python')}",
        lambda case: env.Activation(data=named(case)),
        lambda activation: expression.eval(activation=activation).value(),
        int,
        "one expression has no rules: they are nested as `condition ? number : ...`",
    )


def cel_cpp_compiler() -> Compiler:
    from cel_expr_python import cel

    env = cel.NewEnv(variables=dict.fromkeys(FIELDS, cel.Type.DOUBLE))
    return Compiler(
        f"cel-expr-python {version('cel-expr-python')}",
        _conditions,
        lambda texts: [env.compile(text) for text in texts],
        "one expression a rule, their order left to the caller: it nests 32 deep at most",
    )


def cel_rust(rules: Sequence[Rule]) -> Engine:
    import cel

    program = cel.compile(chain(rules))
    return Engine(
        f"common-expression-language {version('common-expression-language')}",
        lambda case: cel.Context(variables=named(case)),
        program.execute,
        int,
        "as for cel-expr-python",
    )


def cel_rust_compiler() -> Compiler:
    import cel

    return Compiler(
        f"common-expression-language {version('common-expression-language')}",
        _conditions,
        lambda texts: [cel.compile(text) for text in texts],
        "as for cel-expr-python",
    )


def _conditions(sets: Sequence[Sequence[Rule]]) -> list[str]:
    return [condition(rule, ".0", " && ") for rules in sets for rule in rules]


# ---------------------------------------------------------------- ZEN


def zen_table(rules: Sequence[Rule]) -> str:
    columns = [{"id": f"i{field}", "name": name, "field": name} for field, name in enumerate(FIELDS)]
    rows = [
        {"_id": str(number), "o": str(number)} | {f"i{field}": f"{sign} {limit}" for field, sign, limit in rule}
        for number, rule in enumerate(rules)
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
    return json.dumps({"nodes": nodes, "edges": edges})


def zen_engine(rules: Sequence[Rule]) -> Engine:
    import zen

    decision = zen.ZenEngine().create_decision(zen_table(rules))
    return Engine(
        f"zen-engine {version('zen-engine')}",
        named,
        decision.evaluate,
        lambda answer: int(answer["result"]["rule"]) if answer["result"] else -1,
        "nothing: a decision table whose first row that fits decides",
    )


def zen_compiler() -> Compiler:
    import zen

    return Compiler(
        f"zen-engine {version('zen-engine')}",
        lambda sets: [zen_table(rules) for rules in sets],
        lambda tables: [zen.ZenEngine().create_decision(table) for table in tables],
        "the tables are taken in; their cells are read with every decision",
    )


# ---------------------------------------------------------------- Cedar


def cedar_policies(rules: Sequence[Rule]) -> str:
    return "\n".join(
        f'@id("{number}")\npermit(principal, action, resource) when {{ {condition(rule, "", " && ", "context.")} }};'
        for number, rule in enumerate(rules)
    )


def cedar_engine(rules: Sequence[Rule]) -> Engine:
    import cedarpy

    policies = cedarpy.PolicySet.from_str(cedar_policies(rules))
    entities = cedarpy.Entities.from_json_str("[]")
    who = {"principal": 'N::"n"', "action": 'A::"move"', "resource": 'R::"r"'}

    def index(answer: Any) -> int:
        return min((int(reason.removeprefix("policy")) for reason in answer.diagnostics.reasons), default=-1)

    return Engine(
        f"cedarpy {version('cedarpy')}",
        lambda case: who | {"context": {name: int(value) for name, value in named(case).items()}},
        lambda request: cedarpy.is_authorized(request, policies, entities),
        index,
        "policies have no order: all that hold are named, and the first of them is taken; numbers are whole",
    )


def cedar_compiler() -> Compiler:
    import cedarpy

    return Compiler(
        f"cedarpy {version('cedarpy')}",
        lambda sets: [cedar_policies(rules) for rules in sets],
        lambda texts: [cedarpy.PolicySet.from_str(text) for text in texts],
        "parsed; validation needs a schema and is not in it",
    )


# ---------------------------------------------------------------- Rego


def rego_module(rules: Sequence[Rule]) -> str:
    """Rules that hold stand in a set, and the first of them decides: `else` would nest as deep as there are rules."""
    lines = [f"holds contains {n} if {{ {condition(rule, '', '; ', 'input.')} }}" for n, rule in enumerate(rules)]
    head = "package bench\nimport rego.v1\ndefault decide := -1\ndecide := min(holds) if count(holds) > 0\n"
    return head + "\n".join(lines) + "\n"


def rego_chain(rules: Sequence[Rule]) -> str:
    first, *rest = [f"{n} if {{ {condition(rule, '', '; ', 'input.')} }}" for n, rule in enumerate(rules)]
    return "\n".join(
        ["package bench", "import rego.v1", f"decide := {first}", *(f"else := {one}" for one in rest), "else := -1", ""]
    )


def rego_engine(rules: Sequence[Rule]) -> Engine:
    import regopy

    rego = regopy.Interpreter()
    rego.add_module("bench", rego_chain(rules))
    bundle = rego.build(None, ["bench/decide"])

    def decide(given: Any) -> Any:
        rego.set_input(given)
        return rego.query_bundle_entrypoint(bundle, "bench/decide")

    return Engine(
        f"regopy {version('regopy')}",
        lambda case: regopy.Input(named(case)),
        decide,
        lambda output: int(output[0][0]),
        "nothing: a rule with `else`, compiled into a bundle with an entry point",
    )


def rego_compiler() -> Compiler:
    import regopy

    def compile_(modules: list[str]) -> list[object]:
        bundles = []
        for module in modules:
            rego = regopy.Interpreter()
            rego.add_module("bench", module)
            bundles.append(rego.build(None, ["bench/decide"]))
        if not all(bundle.ok() for bundle in bundles):
            raise RuntimeError("regopy built no bundle")
        return bundles

    return Compiler(
        f"regopy {version('regopy')}",
        lambda sets: [rego_module(rules) for rules in sets],
        compile_,
        "all rules that hold in a set, and its least number: hundreds of `else` would nest as deep",
    )


def engines(rules: Sequence[Rule]) -> list[Engine]:
    others = [cel_cpp, cel_rust, zen_engine, cedar_engine, rego_engine]
    return [*tiki_engines(rules), *(make(rules) for make in others)]


def compilers() -> list[Compiler]:
    others = [cel_cpp_compiler, cel_rust_compiler, zen_compiler, cedar_compiler, rego_compiler]
    return [*tiki_compilers(), *(make() for make in others)]
