"""Traces of decisions, from the post over the tiers, the log and the gate to the effect, for OpenTelemetry.

They are made of the ledger's own records by one reader, so no part that decides, commits or acts knows of them: they
cost the decision path nothing, and what happened while nobody looked is told all the same. docs/operate/traces.md.
"""

from managers.uim.tracing.wiring import Tracing, of

__all__ = ["Tracing", "of"]
