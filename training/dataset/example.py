"""One decision of the past, as whatever learns from it sees it.

Only what happened is in it: the outcome of the candidate that was taken, and none of the others'. Where the policy
chose, the exact propensities stand beside it, so that what another policy would have reached can be estimated
(training/ope).
"""

import msgspec

from federation.policy.question import Question, Scores

CHOSEN_BY_POLICY = "policy"


class Advice(msgspec.Struct, frozen=True):
    """What an advisor said. choice: index into the question's candidates; None: it asked for a person."""

    model: str
    choice: int | None
    confidence: float | None


class Logged(msgspec.Struct, frozen=True):
    """decision, attempt: name its records. at: ledger time of the answer, ns. version: of the decision point. bundle:
    digest of the specs in force. family: names questions so alike that they belong into one split; 32 hex digits.
    question: exactly the candidates that were offered; `choice`, `preferred`, `logs` and `propensities` go by its
    order.

    choice: what was taken; tier: by whom (policy, advisor, operator). policy: version of the policy that was asked;
    empty: none was. preferred: its best candidate. logs: natural logarithms of its probabilities. propensities: that
    each candidate was going to be taken; empty where somebody else than the policy chose. why: it went above the
    policy: `all` did then, it was `drawn` for a check, or the policy was `unsure`; empty: it did not. status, reward:
    of the outcome, the reward in the unit of the point; None: none is known, or not yet.
    """

    decision: str
    attempt: int
    at: int
    version: int
    bundle: str
    family: str
    question: Question
    choice: int
    tier: str
    policy: str = ""
    preferred: int | None = None
    logs: Scores = ()
    propensities: tuple[float, ...] = ()
    advice: Advice | None = None
    why: str = ""
    status: str = ""
    reward: float | None = None

    @property
    def point(self) -> str:
        return self.question.point

    @property
    def overridden(self) -> bool:
        """Somebody above the policy decided otherwise than it would have."""
        return self.preferred is not None and self.tier != CHOSEN_BY_POLICY and self.choice != self.preferred
