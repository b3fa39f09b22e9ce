"""Where a request runs: the node table, the scorers and their proposals. Pure: knows neither Ray nor the ledger."""

from managers.ufm.placement.demand import Demand, Typical, typical_requests
from managers.ufm.placement.fleet import Allocation, Fleet, Free, Node, Request
from managers.ufm.placement.propose import ALGORITHMS, Proposal, Proposer

__all__ = [
    "ALGORITHMS",
    "Allocation",
    "Demand",
    "Fleet",
    "Free",
    "Node",
    "Proposal",
    "Proposer",
    "Request",
    "Typical",
    "typical_requests",
]
