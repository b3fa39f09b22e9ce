"""Reading along the one index that records have beside their numbers: by kind and point, in order of seq.

An index costs the appender about a tenth of a commit, so there are not two. Whoever asks for kinds at any point, or
for points at any kind, reads the index once for each pair that there is, a few dozen at most.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Executable, TextualSelect, text

from federation.ledger.tables import records

Pair = tuple[str, str]
"""A kind and a point."""

Fetch = Callable[[Executable], Sequence[Any]]

# From each value to the next greater one, without reading what lies between.
_KINDS = text(
    "WITH RECURSIVE found (kind) AS (SELECT min(kind) FROM records UNION ALL "
    "SELECT (SELECT min(r.kind) FROM records r WHERE r.kind > found.kind) FROM found WHERE found.kind IS NOT NULL) "
    "SELECT kind FROM found WHERE kind IS NOT NULL"
)
_POINTS = text(
    "WITH RECURSIVE found (point) AS (SELECT min(point) FROM records WHERE kind = :kind UNION ALL "
    "SELECT (SELECT min(r.point) FROM records r WHERE r.kind = :kind AND r.point > found.point) "
    "FROM found WHERE found.point IS NOT NULL) SELECT point FROM found WHERE point IS NOT NULL"
)


def pairs(fetch: Fetch, kinds: Sequence[str], points: Sequence[str]) -> list[Pair]:
    """Those of the given kinds, or of all, and of the given points, or of all; some may have no records."""
    found: list[Pair] = []
    for kind in dict.fromkeys(kinds) if kinds else [row[0] for row in fetch(_KINDS)]:
        names = dict.fromkeys(points) if points else [row[0] for row in fetch(_POINTS.bindparams(kind=kind))]
        found += [(kind, point) for point in names]
    return found


def newest(pairs: Sequence[Pair], limit: int, before: int) -> TextualSelect:
    """The seqs of the newest `limit` records of the pairs (at least one) before that seq. The index alone answers."""
    one = (
        "SELECT seq FROM (SELECT seq FROM records WHERE kind = :kind{n} AND point = :point{n} AND seq < :before "
        "ORDER BY seq DESC LIMIT :limit) AS newest{n}"
    )
    all_of_them = " UNION ALL ".join(one.format(n=n) for n in range(len(pairs)))
    values: dict[str, Any] = {"limit": limit, "before": before}
    for n, (kind, point) in enumerate(pairs):
        values |= {f"kind{n}": kind, f"point{n}": point}
    return text(f"{all_of_them} ORDER BY seq DESC LIMIT :limit").bindparams(**values).columns(records.c.seq)
