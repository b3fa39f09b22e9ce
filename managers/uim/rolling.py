"""In which order the machines of a cluster are started anew, and which of them have been. Pure but for its file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from federation import privatefile
from federation.errors import Refused

FILE = "restart.json"  # in the state folder of the head, while a restart of the whole cluster is not at its end
STALE = 172_800.0  # seconds without a machine that came back; one may wait half as long for its jobs (`--patience`)
SILENT = 15.0  # seconds; three reports of a node at the interval that ships

Node = Mapping[str, Any]
"""A node as `GET /v1/nodes` tells it."""


class Rolling(msgspec.Struct, frozen=True):
    """What is left to do. left: by node the actor of its agent when the restart began: a node that joins again has
    another one. elias: the version that was installed on the head then. at: when it began or the last machine came back
    (seconds since 1970); 0: not noted yet."""

    left: dict[str, str]
    elias: str
    at: float = 0.0

    @classmethod
    def of(cls, state: Path, elias: str) -> "Rolling | None":
        """The one that was begun with this version and has not come to its end."""
        try:
            found = msgspec.json.decode((state / FILE).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found if found.elias == elias else None

    def stale(self, now: float) -> bool:
        """Whether it was broken off so long ago that nobody means it any more: what was done by then may have been
        done for something else."""
        return now - self.at > STALE

    def save(self, state: Path, now: float) -> None:
        """For whoever goes on with it; forgotten once nothing is left."""
        if self.left:
            privatefile.write(state / FILE, msgspec.json.encode(msgspec.structs.replace(self, at=self.at or now)))
        else:
            (state / FILE).unlink(missing_ok=True)

    def without(self, name: str) -> "Rolling":
        left = {one: actor for one, actor in self.left.items() if one != name}
        return msgspec.structs.replace(self, left=left, at=0.0)


def begin(nodes: Sequence[Node], wanted: Sequence[str], elias: str) -> Rolling:
    """These machines, or all where none is named: by their names, and the head last, for all others are in its Ray.
    Raises Refused where one is unknown or is not well."""
    ours = {str(node["name"]): node for node in nodes if node.get("elias")}
    for name in wanted:
        if name not in ours:
            cure = f"one of: {', '.join(sorted(ours))}"
            raise Refused("no-node", f"ELIAS runs on no node `{name}`", cure=cure)
    chosen = {name: node for name, node in ours.items() if not wanted or name in wanted}
    if ill := sorted(name for name, node in chosen.items() if not is_well(node)):
        cure = "look there with `elias doctor`; name the others to restart them alone"
        raise Refused("not-well", f"not up, or silent: {', '.join(ill)}", cure=cure)
    order = sorted(chosen, key=lambda name: (bool(chosen[name].get("head")), name))
    return Rolling({name: actor_of(chosen[name]) for name in order}, elias)


def gone(name: str, left: Iterable[str]) -> Refused:
    """Of a machine whose turn it is and on which no ELIAS runs. left: those that are to be started anew, it too."""
    others = " ".join(other for other in left if other != name)
    whole = f"`elias restart {others}` restarts the others" if others else "nothing else is left to do"
    cure = f"start it there, then run the same command again: it goes on; if it is gone for good, {whole}"
    return Refused("no-node", f"node {name} has gone", cure=cure)


def is_well(node: Node) -> bool:
    silence = node.get("silence")
    return node.get("status") in ("up", "drained") and silence is not None and silence < SILENT


def actor_of(node: Node) -> str:
    return str(node.get("report", {}).get("actor", ""))


def is_back(node: Node, before: str) -> bool:
    """Whether a node that had this agent before has been started anew, and is well."""
    return is_well(node) and actor_of(node) not in ("", before)


LEAVING, CALLED_OFF = "ends its jobs", "as before"


def words(now: Node | None, before: Node) -> str:
    """What a machine does that was told to start anew, and is not back. now: None: nobody sees it."""
    if now is None or actor_of(now) != actor_of(before):
        return "has left, and comes back"
    if now["status"] != "leaving":
        return CALLED_OFF
    jobs = [str(job["id"]) for job in now.get("report", {}).get("jobs", ())]
    return LEAVING + (f": {', '.join(jobs)}" if jobs else "")


def done(rolling: Rolling, nodes: Iterable[Node]) -> list[str]:
    """Of what is left, those that were started anew before somebody could note it: they run what was installed."""
    known = {str(node["name"]): node for node in nodes}
    return [
        name
        for name, before in rolling.left.items()
        if name in known and is_back(known[name], before) and known[name].get("elias") == rolling.elias
    ]
