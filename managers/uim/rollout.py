"""What can be done about a new version at a share of the traffic."""

from federation.records import Candidate
from managers.uim.points import STEPS


def rollout_candidates(share: float | None) -> list[Candidate]:
    """share: percent that the new version gets now; None: nobody knows, so nothing advances. The smallest step comes
    first."""
    further = [step for step in STEPS if share is not None and step > share]
    advances = [Candidate("advance", {"share": step}, {"target.share": step}) for step in further]
    return [*advances, Candidate("roll_back"), Candidate("hold")]
