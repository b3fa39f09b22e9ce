"""Why a person is called about a case: who could have settled it before, and did not."""

from collections.abc import Iterable
from typing import Any

from federation.points import DecisionPoint
from federation.records import Kind

LEFT_TO_PEOPLE = "the spec leaves it to people"
NOT_SURE = "the policy is not sure, and the point is critical"
ASKS = "the advisor asks for a person"
DISAGREE = "the policy and the advisor do not agree"
VERIFY = "the answer is that a person verifies it"


def cause(point: DecisionPoint, records: Iterable[tuple[str, Any]]) -> str:
    """records: kind and body, of the decision, in order."""
    newest = dict(records)
    advised = newest.get(Kind.ADVISED)
    if advised is not None:
        return ASKS if advised.choice is None else DISAGREE
    return NOT_SURE if Kind.SCORED in newest and point.critical else LEFT_TO_PEOPLE
