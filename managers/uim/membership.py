"""A machine joins a cluster, stays in it and leaves it: what `elias join` and `elias leave` do."""

import math
import os
import re
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import psutil

from federation.errors import Refused, Temporary
from federation.runtime import discovery
from federation.runtime.cluster import HEADS, Cluster, Member
from federation.runtime.invitation import Invitation, reached
from federation.runtime.reporting import HEARD
from federation.runtime.session import Session
from federation.settings import Settings
from managers.uim import launch, restarting
from managers.uim.launch import AGENT, LEAVE, START_DEADLINE, Say

LOOK = 0.5  # seconds between two looks at whether the node is still one
ANSWERS = 1.0  # seconds in which a head takes a connection
PAUSE = 2.0  # seconds until a cluster that is gone is tried again


def reachable(settings: Settings, *, tls: bool) -> Settings:
    """The settings with an address at which other machines reach this one, by TLS if they or the flag say so. Raises
    Refused where none or several are."""
    settings = settings.model_copy(update={"ray": settings.ray.model_copy(update={"tls": tls or settings.ray.tls})})
    if not settings.ray.loopback:
        return settings
    found = _addresses()
    if len(found) != 1:
        what = f"which of the addresses of this machine is it: {', '.join(found)}?" if found else "it has no address"
        cure = "set `ray.address` in elias.yaml"
        raise Refused("address", f"other machines have to reach this one; {what}", cure=cure)
    return settings.model_copy(update={"ray": settings.ray.model_copy(update={"address": found[0]})})


def _addresses() -> list[str]:
    """Of this machine, IPv4, at which others may reach it."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return [
        address.address
        for name, some in psutil.net_if_addrs().items()
        for address in some
        if name in up and address.family == socket.AF_INET and not ip_address(address.address).is_loopback
    ]


def discovered(settings: Settings, invitation: Invitation) -> Invitation:
    """To the head of its cluster as it answers on a network of this machine. Raises Temporary where none does, Refused
    where several do."""
    heads = discovery.find(invitation.token, _addresses() if settings.ray.loopback else [settings.ray.address])
    if not heads:
        raise Temporary("no head of this cluster answers here: is it up, with `ray.discoverable`, on this network?")
    if len(heads) > 1:
        raise Refused("several-heads", f"several heads answer: {', '.join(heads)}", cure="name one: `elias join HEAD`")
    return invitation.at(heads[0])


def stay(
    settings: Settings, invitation: Invitation, member: Member, say: Say, over: Callable[[], bool] | None = None
) -> bool:
    """Be a node of a cluster until it has left (True), this is over (False), or KeyboardInterrupt. Where the cluster
    ends first, join it again as soon as it is back.

    over: asked by a machine that knows for itself who is the head, and for how long. Without it the head is, after the
    one of the invitation, any that was known here. To be called within `launch.keeping`.

    Raises Refused when this machine does not fit or is in a cluster already, Temporary when the head cannot be reached
    or sends no agent; once it has joined, whatever keeps it from joining again may pass. Raises Again once the node has
    left because it is to be started anew.
    """
    os.umask(0o077)
    check(settings, member)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster: Cluster | None = None
    restart = _Restart(settings.state / "nodes" / member.name, 2 * settings.telemetry.interval + HEARD, say)
    try:
        if not restarting.RESUMED:  # then nobody waits for it, and its head may be away for a moment
            cluster = _joined(settings, invitation, _others(settings, over), member, say)
            say(f"this machine is node {member.name}; Ctrl-C or `elias leave` ends that")
        while over is None or not over():
            if restart.due():
                raise restarting.Again
            if _has_left(settings, member.name):
                (settings.state / HEADS).unlink(missing_ok=True)
                return True
            if cluster is not None and cluster.alive() and not _has_moved(cluster, _others(settings, over)):
                time.sleep(LOOK)
                continue
            if cluster is not None:
                say("the head is lost")
                cluster.down(patience=0.0)
                restart.forget()
            cluster = None
            try:
                cluster = _joined(settings, invitation, _others(settings, over), member, say)
            except (Temporary, Refused) as error:
                say(f"not yet: {error}")
                time.sleep(PAUSE)
        if cluster is not None:
            cluster.down(patience=0.0)  # its head is lost, and this machine may be the next one
            cluster = None
        return False
    finally:
        if cluster is not None:
            cluster.down()
        _forget_signs(settings)


class _Restart:
    """The order to start this node anew, if there is one: the node leaves, unless its jobs take too long.

    goodbye: seconds that an idle node takes to leave: two reports, and the word that it has left.
    """

    def __init__(self, folder: Path, goodbye: float, say: Say) -> None:
        self._folder, self._goodbye, self._say = folder, goodbye, say
        self._until: float | None = None  # monotonic, s; infinite: called off

    def due(self) -> bool:
        """Whether the node has left for it."""
        wanted = restarting.take(self._folder)
        if wanted is not None:
            self._say(f"told to start anew, once the jobs of this node have ended; {wanted.patience:.0f} s for that")
            self._until = time.monotonic() + wanted.patience + self._goodbye
            (self._folder / LEAVE).touch()
        if self._until is None:
            return False
        if not (self._folder / AGENT).exists():
            # It may have been on its way when that was called off; who leaves after that leaves for good.
            return self._until < math.inf or not (self._folder / LEAVE).exists()
        if self._until < time.monotonic():
            self._say("its jobs have not ended in time: this node is not started anew, and takes work as before")
            self._until = math.inf
            (self._folder / LEAVE).unlink(missing_ok=True)
        return False

    def forget(self) -> None:
        """The cluster is lost, and with it the agent that would have left."""
        self._until = None


def _others(settings: Settings, over: Callable[[], bool] | None) -> list[str]:
    return _heads(settings) if over is None else []


def _has_moved(cluster: Cluster, heads: list[str]) -> bool:
    """Whether another machine is the head by now: this one's is not there, and that one's is.

    Ray itself takes a minute and more to see that nothing comes from a head that was cut off, and then ends the jobs
    of this node. As long as there is no other head it may have that minute.
    """
    others = [head for head in heads if head != cluster.address]
    return bool(others) and not _answers(cluster.address) and any(map(_answers, others))


def another_answers(settings: Settings, own: str) -> bool:
    """Whether a machine that was known as one that can be the head is it now, beside the one at this address."""
    return any(_answers(head) for head in _heads(settings) if head != own)


def _answers(head: str) -> bool:
    try:
        reached(head, ANSWERS)
    except OSError:
        return False
    return True


def _joined(settings: Settings, invitation: Invitation, others: list[str], member: Member, say: Say) -> Cluster:
    """At the head that the invitation names, or at one of these. Raises what the first of them said."""
    said = list[Temporary | Refused]()
    for head in dict.fromkeys((invitation.head, *others)):
        say(f"joining {head}")
        try:
            return _joined_at(settings, invitation.at(head), member)
        except (Temporary, Refused) as error:
            said.append(error)
    raise said[0]


def _heads(settings: Settings) -> list[str]:
    """Addresses at which the agent that was here last knew a head, or a machine that can become it."""
    try:
        return (settings.state / HEADS).read_text().split()
    except OSError:
        return []


def check(settings: Settings, member: Member) -> None:
    """Raises Refused where this machine is in a cluster already, and as `check_words`."""
    session = Session.of(settings.state)
    if session is not None and session.serves():
        cure = "`elias down` first" if session.head else "`elias leave` first"
        raise Refused("joined", "this machine is part of a cluster already", place=str(settings.state), cure=cure)
    check_words(member)


def check_words(member: Member) -> None:
    """Raises Refused where a name or label is none."""
    for word, place in ((member.name, "--name"), *((label, "--label") for label in member.labels)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,62}", word):
            cure = "take letters, digits and `.`, `_`, `=`, `-`, 63 at most"
            raise Refused("name", f"`{word}` cannot be a name", place=place, cure=cure)


def _has_left(settings: Settings, name: str) -> bool:
    """Its agent has said goodbye, whether or not somebody waits for that."""
    agent = settings.state / "nodes" / name / AGENT
    return agent.with_name(LEAVE).exists() and not agent.exists()


def _forget_signs(settings: Settings) -> None:
    """Of agents that were here, under whatever name."""
    restarting.forget(settings.state)
    for sign in (AGENT, LEAVE):
        for path in settings.state.glob(f"nodes/*/{sign}"):
            path.unlink(missing_ok=True)


def _joined_at(settings: Settings, invitation: Invitation, member: Member) -> Cluster:
    _forget_signs(settings)
    agent = settings.state / "nodes" / member.name / AGENT
    cluster = Cluster.join(settings.state, invitation, member, settings.ray)
    deadline = time.monotonic() + START_DEADLINE
    try:
        while not agent.exists():
            if time.monotonic() > deadline or not cluster.alive():
                raise Temporary(f"the head at {invitation.head} sent no agent; is ELIAS up there?")
            time.sleep(0.05)
    except BaseException:
        cluster.down()
        raise
    return cluster


def has_joined(settings: Settings) -> bool:
    """Whether this machine is a node of a cluster whose head is elsewhere, and its agent is up."""
    session = Session.of(settings.state)
    if session is None or session.head:
        return False
    return session.serves() and any(settings.state.glob(f"nodes/*/{AGENT}"))


def leave(settings: Settings, say: Say) -> bool:
    """Take this machine out of its cluster once its jobs have ended; False when it is in none. Raises Refused where the
    cluster begins here."""
    session = Session.of(settings.state)
    if session is not None and session.serves():
        if session.head:
            cure = "`elias down` ends the whole cluster"
            raise Refused("head", "this machine is the head of its cluster, and cannot leave it", cure=cure)
        _give_notice(settings, session, say)
    left = launch.down(settings, say) or session is not None
    (settings.state / HEADS).unlink(missing_ok=True)
    return left


def _give_notice(settings: Settings, session: Session, say: Say) -> None:
    """Returns when the agent has told everybody that this machine has left."""
    waits = None
    for agent in settings.state.glob(f"nodes/*/{AGENT}"):
        agent.with_name(LEAVE).touch()
        while session.serves() and (jobs := _jobs(agent)) is not None:
            if jobs and jobs != waits:
                say(f"waiting for {', '.join(jobs)}; `elias down` ends them")
                waits = jobs
            time.sleep(0.1)


def _jobs(agent: Path) -> list[str] | None:
    """Of the node, as its agent told them last; None: it has gone."""
    try:
        return agent.read_text().split()
    except OSError:
        return None
