"""A tournament at one point after the other: who is admitted, what each one's choices brought, who is better."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from federation.errors import Refused, Temporary
from federation.points import DecisionPoint
from federation.policy.question import Question, Scores
from training.dataset.example import Logged
from training.evaluation.bench import Many
from training.ope import estimators
from training.ope.estimators import Numbers
from training.ope.outcome import OutcomeModel
from training.ope.support import supported, usable
from training.ope.target import best, greedy
from training.scenarios.scenario import Example
from training.tournament.contest import Match
from training.tournament.entrants import Entrant, Field, Out
from training.tournament.validation import late, strange, timed, unfit


class Paper(Protocol):
    """The questions of one point, and how answers to them are marked."""

    @property
    def questions(self) -> Sequence[Question]: ...

    def marks(self, said: Sequence[Scores]) -> Numbers:
        """What each answer brought, or would have: one number a question, in the unit of the point. Raises Refused
        where that cannot be told."""
        ...


class Simulated(NamedTuple):
    """Questions of the simulated world, in which every candidate's outcome is known."""

    examples: Sequence[Example]

    @property
    def questions(self) -> list[Question]:
        return [example.question for example in self.examples]

    def marks(self, said: Sequence[Scores]) -> Numbers:
        """The mean over the completions of the world."""
        pairs = zip(self.examples, said, strict=True)
        return np.array([float(np.mean([one[best(scores)] for one in each.outcomes])) for each, scores in pairs])


class OnRecord:
    """Decisions of a data set that the policy then in force took alone; what others would have brought is estimated
    decision by decision, doubly robust (docs/training/off-policy.md)."""

    def __init__(self, point: DecisionPoint, asked: Sequence[Logged], learned: Sequence[Logged]) -> None:
        """asked, learned: of this point, those that are asked and those that the outcome model is fitted on; no policy
        may have learned from the former. Raises Refused where the log can tell of no policy."""
        self._point = point
        self._examples = usable(point, asked).examples
        self._predicted = OutcomeModel.fit(point.schema, learned).predict(self.questions)

    @property
    def questions(self) -> list[Question]:
        return [example.question for example in self._examples]

    def marks(self, said: Sequence[Scores]) -> Numbers:
        return estimators.corrected(supported(self._point, self._examples, greedy(said), self._predicted))


class Played(NamedTuple):
    """At one point. champion: name. match: None where nobody competed with the champion, or the champion itself cannot
    be measured. seconds: the median of a question asked alone, by name. out: who was not admitted, and why."""

    point: DecisionPoint
    champion: str
    match: Match | None
    seconds: Mapping[str, float]
    out: list[Out]


def play(field: Field, point: DecisionPoint, paper: Callable[[], Paper], deadline: float) -> Played:
    """deadline: seconds that a question may take. Blocking."""
    here, out = _admitted(field, point)
    name = field.champion(point.schema)[:12]
    if name not in {one.name for one in here}:
        if name not in {one.policy for one in out}:
            why = next((one.reason for one in field.out if one.policy == name), "the champion is not at hand here")
            out.append(Out(name, point.name, why))
        return Played(point, name, None, {}, out)
    try:
        made = paper()
        answers = {one.name: one.answers(point.schema) for one in here}
        marks, slow = _marked(made, answers, name, deadline, out)
    except Refused as refused:
        return Played(point, name, None, {}, [*out, Out("", point.name, refused.message, refused.cure)])
    if name not in marks:
        return Played(point, name, None, slow, out)
    others = [one for one in marks if one != name]
    match = Match(point.name, (name, *others), np.column_stack([marks[one] for one in (name, *others)]))
    return Played(point, name, match if others else None, slow, out)


def _admitted(field: Field, point: DecisionPoint) -> tuple[list[Entrant], list[Out]]:
    """The tables are asked where they are the default, and are not missed elsewhere."""
    here, out = [], []
    for one in field.everyone():
        why = unfit(one, point.schema)
        if not why:
            here.append(one)
        elif one.origin != "tables":
            out.append(Out(one.name, point.name, why))
    return here, out


def _marked(
    paper: Paper,
    answers: Mapping[str, Many],
    champion: str,
    deadline: float,
    out: list[Out],
) -> tuple[dict[str, Numbers], dict[str, float]]:
    """By name what the answers brought, and the median seconds of one; whoever fails is added to `out`. The champion is
    in force, however slow it is."""
    questions = list(paper.questions)
    slow = timed(answers, questions)
    marks = {}
    for name, answer in answers.items():
        why = late(slow[name], deadline) if name != champion else ""
        found = why or _mark(paper, questions, answer)
        if isinstance(found, str):
            out.append(Out(name, questions[0].point, found))
        else:
            marks[name] = found
    return marks, {name: took[len(took) // 2] for name, took in slow.items()}


def _mark(paper: Paper, questions: Sequence[Question], answer: Many) -> Numbers | str:
    """What the answers brought, or why that cannot be told."""
    try:
        said = answer(questions)
        return strange(questions, said) or paper.marks(said)
    except Temporary as error:
        return f"it does not answer: {error}"
    except Refused as refused:
        return f"the log cannot tell: {refused.message}"
