"""Every code of a diagnostic, in a sentence. Each has a page in docs/tiki/findings/."""

import sys
from pathlib import Path

CODES = {
    "TIKI-101": "the file is too large, has a line that is too long, or is not plain UTF-8 text",
    "TIKI-103": "the front matter cannot be read",
    "TIKI-104": "a heading is nearly one of a spec or of examples",
    "TIKI-105": "the title begins with no manager's name",
    "TIKI-106": "a line is nearly a bullet, or stands where none may",
    "TIKI-107": "a fence or a comment is never closed",
    "TIKI-108": "too many bullets, clauses or comparisons",
    "TIKI-109": "two sources have one path, or a base stands among the overlays",
    "TIKI-201": "the grammar stops here",
    "TIKI-202": "this is no value or no name",
    "TIKI-203": "a bullet is too long or nested too deeply",
    "TIKI-301": "a name is neither a fact nor a setting",
    "TIKI-302": "no such setting, and no clause uses it",
    "TIKI-303": "no such action",
    "TIKI-304": "no such decision point, or another manager's",
    "TIKI-305": "no decision point takes this title",
    "TIKI-306": "a name is not one of the declared values",
    "TIKI-307": "a fact cannot be set",
    "TIKI-308": "an attribute stands where no candidate carries it",
    "TIKI-401": "unlike units",
    "TIKI-402": "the value of a setting is of another type",
    "TIKI-403": "the operator does not fit the type",
    "TIKI-404": "an argument too many, or not an argument",
    "TIKI-405": "`clear at` does not fit its condition",
    "TIKI-406": "a comparison of literals",
    "TIKI-407": "not a condition by itself",
    "TIKI-501": "a setting is set twice",
    "TIKI-502": "a clause or an action stands twice",
    "TIKI-503": "a guard on the terminal action",
    "TIKI-504": "`otherwise` stands twice",
    "TIKI-505": "no fallback where a rule may be unknown or none may hold",
    "TIKI-506": "an overlay replaces nothing",
    "TIKI-507": "a setting without a value is used",
    "TIKI-601": "a column is not a fact or a setting",
    "TIKI-602": "a cell does not fit its column",
    "TIKI-603": "not a table, or a row of another width",
    "TIKI-620": "a heading is nearly one of a scenario, or begins one of this title again",
    "TIKI-621": "this is no line of a scenario, or stands where none may",
    "TIKI-622": "a value does not fit its fact, setting or attribute",
    "TIKI-623": "no such fact, setting or subject in a scenario",
    "TIKI-624": "a scenario names no decision point",
    "TIKI-625": "a scenario gives a fact or a setting twice",
    "TIKI-626": "the series of a line differ in length",
    "TIKI-627": "a scenario has too many values, or its time stands still",
    "TIKI-630": "nothing is asked at this time",
    "TIKI-631": "the point cannot decide what a scenario expects",
    "TIKI-632": "no guard could do what a scenario expects",
    "TIKI-633": "a scenario expects nothing",
    "TIKI-701": "a rule can never be true",
    "TIKI-702": "a clause is never reached",
    "TIKI-703": "a rule always holds where its facts are known or absent",
    "TIKI-704": "a part of a condition never matters",
    "TIKI-711": "a setting that nothing uses",
    "TIKI-712": "a guard can never forbid",
    "TIKI-713": "guards always forbid an action",
    "TIKI-714": "guards forbid what a clause does wherever it decides",
    "TIKI-715": "`consult` offers what the guards forbid wherever it asks",
    "TIKI-721": "nothing takes back what a rule does",
    "TIKI-722": "a `clear at` that is never reached",
}

_FOLDERS = (
    Path(__file__).parents[2] / "docs" / "tiki" / "findings",
    Path(sys.prefix) / "share" / "doc" / "elias" / "tiki" / "findings",
)
"""In a checkout, and where an installed package has its documentation."""


def page(code: str) -> str | None:
    """The page of a code, in Markdown: summary, avoid, prefer. None where there is no such code or no documentation."""
    files = (folder / f"{code}.md" for folder in _FOLDERS if code in CODES)
    return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), None)
