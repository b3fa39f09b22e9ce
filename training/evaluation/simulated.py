"""Policies on questions of the simulated world that they never saw."""

from collections.abc import Callable, Sequence

from training.evaluation.bench import Bench, Result, answers, each, overall
from training.evaluation.contender import Contender
from training.evaluation.result import Evaluation, Source
from training.scenarios import generate

SPLIT = "test"


def measure(
    contenders: Sequence[Contender],
    points: Sequence[str],
    count: int,
    train: int,
    at: str,
    shown: Callable[[int, int], None],
) -> list[Evaluation]:
    """One of each contender; all answer the same questions. count: of each split of each point. train: questions that
    the baselines learn from; 0 leaves out those that learn. at: the time, RFC 3339."""
    found: list[dict[str, Result]] = [{} for _ in contenders]
    for done, name in enumerate(points):
        shown(done, len(points))
        bench = Bench(generate.scenario(name), count, train)
        baselines = {kind: each(scorer) for kind, scorer in bench.baselines()}
        against = {kind: bench.contest(answer, bench.calibrated(answer)) for kind, answer in baselines.items()}
        questions = [example.question for example in bench.splits[SPLIT]]
        for contender, results in zip(contenders, found, strict=True):
            policy, held_out = bench.contest(contender.answers(bench.point), contender.points.get(name))
            took, read = contender.took(bench.point, questions), contender.read(bench.point, questions)
            results[name] = Result(bench, policy, held_out, against, took, read)
    source = Source("simulated", generate.digest(), SPLIT, count)
    return [
        contender.evaluation(
            source,
            at,
            overall(list(results.values())),
            {name: result.entry() for name, result in results.items()},
            {name: answers(result.policy, result.scale()) for name, result in results.items()},
        )
        for contender, results in zip(contenders, found, strict=True)
    ]
