"""What the federation says of itself at one moment. Everybody is asked at the same time, with calls that are there for
the pages too; whoever does not answer is left out.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from federation.clock import SECOND
from federation.errors import EliasError
from federation.figures import Histogram
from federation.ledger.store import Head, Lease
from federation.targets import PRIORITIES
from managers.uim.api import cluster
from managers.uim.api.context import Context
from managers.uim.cases.book import Book
from managers.uim.skew import AGENT

if TYPE_CHECKING:
    from federation.runtime.root import Member  # it imports Ray

VIEWED = ("ufm", "urm", "ucm", "uam")


class Cases(NamedTuple):
    """open: by priority. oldest: its age in seconds, by priority. groups: of alike ones, by how they stand."""

    open: dict[str, int]
    oldest: dict[str, float]
    groups: dict[str, int]


class Scrape(NamedTuple):
    """now: ledger time, ns. healths: what each process but the agents says of itself, by component; None: it does not
    answer. members: of the supervision tree; None when the root does not answer. views: of `VIEWED`, those that
    answered. head, lease: of the ledger; None when it cannot be read. size: bytes of its files; None: a database server
    keeps it. posts: from a post to its answer, by manager. frozen: as the flag of this node says. took: seconds of this
    look."""

    now: int
    healths: Mapping[str, dict[str, Any] | None]
    members: "tuple[Member, ...] | None"
    views: Mapping[str, dict[str, Any]]
    head: Head | None
    lease: Lease | None
    size: int | None
    posts: Mapping[str, Histogram]
    cases: Cases
    frozen: bool
    took: float

    def told(self, key: str) -> dict[str, Any]:
        """What the healths say under that key, by component."""
        return {name: said[key] for name, said in self.healths.items() if said is not None and key in said}

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """What managers count, by component."""
        return self.told("figures")


async def look(here: Context) -> Scrape:
    begun = time.perf_counter()
    (members, healths), views, (head, lease, size) = await asyncio.gather(
        _processes(here), _views(here), asyncio.to_thread(_ledger, here)
    )
    names, now = components(views.get("ufm", {}).get("nodes", ())), here.clock.now()
    return Scrape(
        now=now,
        healths=healths,
        members=members and tuple(replace(m, name=names.get(m.name, m.name)) for m in members),
        views=views,
        head=head,
        lease=lease,
        size=size,
        posts=here.lanes.seconds,
        cases=_cases(here.book(), now),
        frozen=cluster.frozen(here).frozen,
        took=time.perf_counter() - begun,
    )


def components(nodes: Any) -> dict[str, str]:
    """Names of processes as labels: the agent of a node is named after the node, for Ray gives that another id each
    time it joins."""
    actors = ((str(node.get("report", {}).get("actor", "")).removeprefix("elias."), node["name"]) for node in nodes)
    return {actor: f"{AGENT}{node}" for actor, node in actors if actor.startswith(AGENT)}


def _cases(book: Book, now: int) -> Cases:
    counts = book.counts(now)
    began = dict.fromkeys(PRIORITIES, now)
    for case in book.state.cases.values():
        began[case.priority] = min(began[case.priority], case.opened)
    return Cases(
        open={priority: counts.by_priority.get(priority, 0) for priority in PRIORITIES},
        oldest={priority: max(0, now - opened) / SECOND for priority, opened in began.items()},
        groups={
            "all": counts.groups,
            "unclaimed": counts.unclaimed,
            "overdue": counts.overdue,
            "snoozed": counts.snoozed,
        },
    )


async def _processes(here: Context) -> "tuple[tuple[Member, ...] | None, dict[str, dict[str, Any] | None]]":
    """The tree, and what each process says of itself. Agents are not asked, for there may be thousands: the root
    supervisor pings them anyhow, and what they have to say is in their reports."""
    nobody: dict[str, dict[str, Any] | None] = dict.fromkeys(here.children)
    try:
        members: tuple[Member, ...] | None = tuple(await here.link.call("root", "tree", patience=2.0))
    except EliasError:
        members, names = None, list(here.children)
    else:
        names = [member.name for member in members or () if member.pid and not member.name.startswith(AGENT)]
    told = await asyncio.gather(*(cluster.health(here, name) for name in names))
    return members, nobody | dict(zip(names, told, strict=True))


async def _views(here: Context) -> dict[str, dict[str, Any]]:
    async def view(manager: str) -> dict[str, Any] | None:
        try:
            said: dict[str, Any] = await here.link.call(manager, "view", patience=2.0)
        except EliasError:
            return None
        return said

    found = zip(VIEWED, await asyncio.gather(*map(view, VIEWED)), strict=True)
    return {manager: said for manager, said in found if said is not None}


def _ledger(here: Context) -> tuple[Head | None, Lease | None, int | None]:
    url, size = here.settings.ledger_url, None
    if url.startswith("sqlite:"):
        path = here.settings.state / url.removeprefix("sqlite:///")
        with contextlib.suppress(FileNotFoundError):
            files = (path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-index"))
            size = sum(file.stat().st_size for file in files if file.exists())
    try:
        return here.store.head(), here.store.lease(), size
    except EliasError:
        return None, None, size
