"""How often what happens in a simulated world, and how long it takes."""

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NEVER = float("inf")

Range = tuple[float, float]
"""Seconds; drawn so that each order of magnitude is as likely as the next."""


@dataclass(frozen=True)
class Chances:
    """Fields that name what happens are the mean seconds between two of its kind, of all nodes together unless they say
    `a node` or `an instance`; the others are ranges of seconds, or shares.

    Nodes: crash (power or kernel, a node), hang (its agent is not heard and its jobs go on, a node), rack (a quarter of
    a rack's lines fails together); disk: something writes a node's disk full, in `filling` seconds.
    Jobs: leaks, bursts and bugs are shares of them. large: share that no node can hold.
    Applications: exit (of an instance, for no lasting reason), stall (an instance runs and does not serve), release (a
    bad one, until its owner has repaired it), outage (what several of them need is away).
    Messages: message, deaf (a target that does not take them for a while), rejected: share that is refused for good.
    Requests: package, rollout, storm, workflow, dispatch, profile; plain: share of the packages and workflow steps with
    which nothing is wrong.
    """

    crash: float = 10 * DAY
    crash_lasts: Range = (4 * MINUTE, 3 * HOUR)
    hang: float = 5 * DAY
    hang_lasts: Range = (15.0, 8 * MINUTE)
    rack: float = 6 * DAY
    rack_lasts: Range = (8 * MINUTE, 40 * MINUTE)
    disk: float = 2 * DAY
    filling: Range = (HOUR, 6 * HOUR)
    cleaned: Range = (20 * MINUTE, 2 * HOUR)
    job: float = 230.0
    job_lasts: Range = (3 * MINUTE, 10 * HOUR)
    leaks: float = 0.012
    leak_takes: Range = (6 * MINUTE, HOUR)
    bursts: float = 0.05
    bugs: float = 0.04
    large: float = 0.0015
    exit: float = 3 * DAY
    stall: float = 2 * DAY
    release: float = 1.5 * DAY
    repair: Range = (15 * MINUTE, 2 * HOUR)
    outage: float = 2 * DAY
    outage_lasts: Range = (2 * MINUTE, 20 * MINUTE)
    fails_after: Range = (1.0, 20.0)
    message: float = 90.0
    deaf: float = 0.7 * DAY
    deaf_lasts: Range = (MINUTE, 20 * MINUTE)
    rejected: float = 0.001
    package: float = 30 * MINUTE
    rollout: float = 8 * HOUR
    rollout_looks: float = 10 * MINUTE
    storm: float = 6 * HOUR
    storm_looks: float = 2 * MINUTE
    workflow: float = 40 * MINUTE
    workflow_looks: float = 3 * MINUTE
    dispatch: float = 40 * MINUTE
    profile: float = 8 * HOUR
    plain: float = 0.75


WEEK = Chances()
"""A cluster of twenty nodes as its operators know it."""

DEMO = Chances(
    crash=20 * MINUTE,
    crash_lasts=(35.0, 90.0),
    hang=20 * MINUTE,
    hang_lasts=(6.0, 40.0),
    rack=6 * MINUTE,
    rack_lasts=(40.0, 80.0),
    disk=2 * MINUTE,
    filling=(40.0, 90.0),
    cleaned=(20.0, 60.0),
    job=4.0,
    job_lasts=(20.0, 6 * MINUTE),
    leaks=0.08,
    leak_takes=(60.0, 120.0),
    bursts=0.1,
    bugs=0.05,
    large=0.02,
    exit=8 * MINUTE,
    stall=2 * MINUTE,
    release=100.0,
    repair=(60.0, 150.0),
    outage=6 * MINUTE,
    outage_lasts=(20.0, 60.0),
    fails_after=(0.5, 4.0),
    message=2.0,
    deaf=2 * MINUTE,
    deaf_lasts=(15.0, 45.0),
    rejected=0.01,
    package=10.0,
    rollout=60.0,
    rollout_looks=20.0,
    storm=MINUTE,
    storm_looks=20.0,
    workflow=12.0,
    workflow_looks=15.0,
    dispatch=12.0,
    profile=60.0,
    plain=0.3,
)
"""The same kinds of trouble, a few hundred times as often, so that somebody who looks for two minutes sees them."""
