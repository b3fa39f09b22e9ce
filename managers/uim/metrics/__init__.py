"""What Prometheus is told: one module for each thing that an operator asks about, each with the families it declares.

`scrape.look` asks the federation, everybody at the same time; the rest is arithmetic on what it said, without a wait.
docs/operate/metrics.md lists every family.
"""

from managers.uim.metrics import advisors, cases, decisions, effects, ledger, nodes, policy, processes, requests, work
from managers.uim.metrics.family import Family

PARTS = (processes, ledger, decisions, effects, policy, advisors, cases, nodes, work)
FAMILIES: tuple[Family, ...] = (*(family for part in PARTS for family in part.FAMILIES), requests.SECONDS)
"""Every family that `GET /metrics` shows, in that order."""
