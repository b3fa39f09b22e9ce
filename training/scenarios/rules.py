"""The rule author's answer to a question: the baseline that a policy has to beat."""

import tiki
from federation import decide
from federation.policy.question import Question
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
        """Index of the candidate that the rules choose. Where they choose none that is offered: the terminal action, or
        the first candidate where that is not offered either."""
        facts = self.program.facts_from(question.facts)
        verdict = self.program.decide(facts, self.program.unwatched(facts))
        found = None
        if verdict.kind == "act" and verdict.action is not None:
            found = decide.find(question.candidates, verdict.action, verdict.args)
        if found is None:
            found = decide.find(question.candidates, self.terminal, {})
        return found or 0
