"""Every code as a table for docs/operate/doctor.md, made from the codes themselves.

`python -m managers.uim.doctor.codes docs/operate/doctor.md` writes it anew between its two marks.
"""

import sys
from pathlib import Path

from managers.uim.doctor.checks import codes

BEGIN, END = "<!-- codes: begin -->\n", "<!-- codes: end -->\n"


def table() -> str:
    rows = [f"| `{one.name}` | {one.severity} | {_cell(one.meaning)} | {_cell(one.cure)} |" for one in codes()]
    return "\n".join(["| code | | meaning | cure |", "| --- | --- | --- | --- |", *rows]) + "\n"


def written(page: str) -> str:
    """The page with the table of now between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
