"""The rule author's answer to a question: the baseline that a policy has to beat."""

import tiki
from federation import decide
from federation.policy.question import Question
from federation.records import Answered
from training.scenarios.scenario import guarded
from training.scenarios.world import World


class Rules:
    """The rules that a world gives for its point, asked in the place of a policy."""

    def __init__(self, world: World) -> None:
        """Raises tiki.Invalid where the rules are wrong."""
        name = world.point.name
        bundle = tiki.build([tiki.Source(f"{name}.tiki", world.rules)], {name: world.point.schema})
        self.program = bundle.programs[name]
        self.terminal = world.point.terminal

    def choose(self, question: Question) -> int:
        """Index of the candidate that the rules choose, as the desk would take it: their guards take candidates away,
        and their fallback answers where none is left. Where nothing answers: the terminal action, or the first
        candidate where that is not offered either."""
        program = self.program
        facts = program.facts_from(question.facts)
        held = program.unwatched(facts)
        candidates = [guarded(program, candidate, facts, held) for candidate in question.candidates]
        answer = decide.judge(program, facts, held, None, candidates, {}, 0).answer
        choice = answer.choice if isinstance(answer, Answered) else None
        return choice if choice is not None else decide.find(question.candidates, self.terminal, {}) or 0
