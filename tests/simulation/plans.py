"""What happens in a history, as data: a seed makes a plan, and a plan alone decides its history."""

import random
from typing import Any, Final, Literal

import msgspec

MODES: Final = {
    "s": "as the contract has it",
    "u": "the callbacks of a process overtake each other",
    "x": "calls of owners are cut off",
    "c": "the clock is set",
    "l": "the store loses answers",
    "2": "two nodes share the store",
    "3": "two nodes share the store, and each has clocks of its own",
}
NODES: Final = "23"
"""The modes with several nodes."""
MOST_NODES: Final = 2
LOSING: Final = {"l": [0.01, 0.05], "2": [0, 0.01, 0.05], "3": [0, 0.01, 0.05]}
"""By mode, the shares of answers of the store that are lost."""
EPOCH: Final = 1_700_000_000_000
"""The time when every history begins."""
FAULTS_END: Final = 30.0
"""Seconds after which nothing more goes wrong."""
SLOW_READERS: Final = 0.1
"""Share of plans in which the token of a follower is revoked that reads slowly, so that something may be on its way."""
FEW: Final = 6
"""Items of which each may take seconds: all jobs of a plan must come to their end within its patience."""
KINDS: Final = ("fast", "slow", "failing", "raising", "silent", "several", "keeping", "legacy", "clinging")

OwnerCall = Literal["create", "cancel", "pause", "resume", "delete", "retry", "token", "revoke", "results"]
Incident = Literal["crash", "stop", "freeze", "disk fails", "disk hangs", "disk loses", "clock"]
NetworkChange = Literal["network lost", "network restored"]
Transports = Literal["websocket", "sse", "polling", "all"]


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One history.

    Attributes:
        schedule: names the streams of chance that decide who goes first and what fails.
        conditions: how the world is throughout.
        acts: what happens, by time.
        followers: who follows.
    """

    schedule: str = ""
    conditions: "Conditions"
    acts: tuple["Act", ...]
    followers: tuple["FollowerPlan", ...] = ()

    @property
    def last(self) -> float:
        """When the last thing of the plan happens."""
        return max([act.at for act in self.acts] + [follower.at for follower in self.followers], default=0.0)


class Conditions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Attributes are shares of calls, connections and callbacks, or seconds; None is never, or no limit.

    Attributes:
        failing, hanging, losing, late: shares of the store's calls that fail, hang, lose their answer, answer late.
        cut: share of connections that something happens to.
        lag: seconds on the way, of the network and the disk.
        flush_interval, lease, stall_after, token_ttl, job_ttl, workers: the settings of the application.
        grace: seconds that jobs have to stop.
        direct: the share of sockets that are served without a task for each, as `server/fast` does.
        shuffled, stepping: see `SimulatedLoop`.
        resumes: whether owners resume their paused jobs in the end.
        nodes: the number of servers.
        deaf: share of the hints between them that are lost.
        skew: by how much their clocks of leases may differ.
        unheard: seconds for which a node may not hear what another one has committed.
        clocks_agree: whether no clock is set.
        steadfast: whether no job may leave a node that lives, and every follower must have its ending in time.
        patience: seconds after the end of all faults within which everything must come to its end.
    """

    failing: float = 0.0
    hanging: float = 0.0
    losing: float = 0.0
    late: float = 0.0
    cut: float = 0.0
    lag: float = 0.02
    flush_interval: float = 0.05
    lease: float = 1.5
    stall_after: float = 10.0
    token_ttl: int | None = None
    job_ttl: int = 86_400
    workers: int = 4
    grace: float = 5.0
    direct: float = 0.0
    shuffled: bool = False
    stepping: float = 0.02
    resumes: bool = False
    nodes: int = 1
    deaf: float = 0.0
    skew: float = 0.0
    unheard: float = 25.0
    clocks_agree: bool = True
    steadfast: bool = False
    patience: float = 300.0


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The input of a job: how its pipeline is to behave.

    Attributes:
        items: their number.
        pace: seconds that an item takes at most.
        until: the attempt up to which `raising` raises.
        final: whether that error is final.
        cling: seconds for which `clinging` goes on after it was stopped.
    """

    items: int = 6
    pace: float = 0.5
    until: int = 2
    final: bool = False
    cling: float = 0.3


class Act(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happens.

    Attributes:
        at: when, in seconds.
        do: what.
        job: whose job it concerns, by number.
        kind, work: of a job to create.
        own_id: whether its owner chooses the id, always the same for a number.
        which: chooses one of several tokens, as a fraction.
        cut_off: seconds after which the owner's call is cancelled; None for never.
        down: seconds for which a node or the disk is away.
        calls: the calls of the store that the disk's trouble is about; all unless given.
        silent: whether connections are not closed by a crash, only dead.
        seconds: by which the clock is set forward.
        node: which node it happens to, or which is asked; None for whichever chance decides, or for all.
        follower: whose network it concerns.
    """

    at: float
    do: OwnerCall | Incident | NetworkChange
    job: int = 0
    kind: str = "slow"
    work: Work = Work()
    own_id: bool = False
    which: float = 0.0
    cut_off: float | None = None
    down: float = 1.0
    calls: tuple[str, ...] = ()
    silent: bool = False
    seconds: float = 0.0
    node: int | None = None
    follower: int = 0


class FollowerPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who follows a job.

    Attributes:
        at: from when.
        job: which; `RETRIES` more for the retry of one.
        by: the transports.
        window: messages on the way to it before its connection is full.
        slow: seconds that it takes for a message at most.
        leaves: messages after which it leaves, once, and comes back; 0 for never.
        flickers: attachments that it leaves at once.
        token: which of the job's tokens it uses.
        node: the only node that it connects to; None for any.
    """

    at: float
    job: int = 0
    by: Transports = "websocket"
    window: int = 64
    slow: float = 0.0
    leaves: int = 0
    flickers: int = 0
    token: int = 0
    node: int | None = None


RETRIES: Final = 100


def make_plan(mode: str, seed: int) -> Plan:
    """Make the plan of a seed in a mode."""
    dice = random.Random(f"{mode}/{seed}")  # noqa: S311 - repeatable, not secret
    jobs = dice.randint(1, 6)
    acts = [act for job in range(jobs) for act in _of_owner(dice, job, mode)]
    followers = [_follower(dice, jobs) for _ in range(dice.randint(1, 6))]
    acts += _incidents(dice, len(followers), mode)
    if dice.random() < SLOW_READERS:
        create = acts[0]
        acts.append(Act(at=create.at + 1 + dice.random() * 5, do="revoke", job=create.job))
        followers.append(FollowerPlan(at=create.at, job=create.job, window=1, slow=2.0))
    if mode in NODES:
        acts = [_of_node(dice, act) for act in acts] + _more_incidents(dice, mode)
    return Plan(
        schedule=f"{mode}{seed}",
        conditions=_conditions(dice, mode),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        followers=tuple(followers),
    )


def _of_node(dice: random.Random, act: Act) -> Act:
    """An act of a plan with several nodes: troubles happen to one of them, or to all that use the store."""
    if act.do in {"crash", "stop", "freeze"}:
        return msgspec.structs.replace(act, node=dice.randrange(MOST_NODES))
    if act.do in {"disk fails", "disk hangs"}:
        return msgspec.structs.replace(act, node=dice.choice([None, *range(MOST_NODES)]))
    return act


def _more_incidents(dice: random.Random, mode: str) -> list[Act]:
    acts = []
    for _ in range(dice.choice([0, 1, 2])):
        outage: Incident = dice.choice(["disk fails", "disk hangs"])
        node = dice.choice([None, *range(MOST_NODES)])
        acts.append(Act(at=dice.random() * 26, do=outage, down=dice.choice([0.3, 2, 4]), node=node))
    for _ in range(dice.choice([1, 2, 3]) if mode == "3" else 0):
        seconds = dice.choice([0.5, 2, 10, 120, 3600]) * dice.choice([1, -1])
        acts.append(Act(at=dice.random() * 28, do="clock", seconds=seconds, node=dice.randrange(MOST_NODES)))
    return acts


def _conditions(dice: random.Random, mode: str) -> Conditions:
    return Conditions(
        failing=dice.choice([0, 0, 0.01, 0.05, 0.15]),
        hanging=dice.choice([0, 0, 0.005, 0.02, 0.05]),
        losing=dice.choice(LOSING[mode]) if mode in LOSING else 0,
        late=dice.choice([0, 0.03, 0.3]),
        cut=dice.choice([0, 0.3, 0.6, 0.9]),
        lag=dice.choice([0.002, 0.02, 0.2]),
        flush_interval=dice.choice([0.05, 0.05, 0.05, 0.0, 0.5, 3.0]),
        stall_after=dice.choice([10.0, 2.0, 0.0]),
        token_ttl=dice.choice([None, None, None, 20, 100]),
        job_ttl=dice.choice([86_400, 86_400, 86_400, 8]),
        workers=dice.choice([1, 2, 4]),
        grace=dice.choice([0.2, 5.0]),
        direct=dice.choice([0, 0.5, 1]),
        shuffled=mode == "u",
        stepping=dice.choice([0, 0.02, 0.1]),
        resumes=dice.random() < 0.8,
        clocks_agree=mode not in {"c", "3"},
        **(_of_nodes(dice, mode) if mode in NODES else {}),
    )


def _of_nodes(dice: random.Random, mode: str) -> dict[str, Any]:
    return {
        "nodes": MOST_NODES,
        "deaf": dice.choice([0, 0, 0.1, 0.5, 1.0]),
        "skew": dice.choice([0.0, 0.01, 0.2]) if mode == "3" else 0.0,
    }


def _of_owner(dice: random.Random, job: int, mode: str) -> list[Act]:
    chance = dice.random
    begins = chance() * 10
    own_id = chance() < 0.3
    kind = dice.choice(KINDS)
    slow = kind == "silent"
    items = dice.choice([1, 2, 4] if slow else [0, 1, 3, 6, 12, 30])
    work = Work(
        items=items,
        pace=dice.choice([3.0, 8.0] if slow else [0.05, 0.3, 1.0]),
        until=dice.choice([1, 2, 6]),
        final=chance() < 1 / 3,
        cling=dice.choice([0.1, 1.0, 8.0] if items <= FEW else [0.1, 1.0]),
    )
    create: dict[str, Any] = {"do": "create", "job": job, "work": work, "own_id": own_id}
    acts = [Act(at=begins, kind=kind, **create)]
    if chance() < 0.5:
        acts.append(Act(at=begins + chance() * 2, do="token", job=job, which=chance()))
    for _ in range(dice.choice([0, 0, 1, 2, 4])):
        call: OwnerCall = dice.choice(
            ["cancel", "pause", "pause", "resume", "resume", "delete", "retry", "revoke", "token", "results"]
        )
        cut_off = chance() * 0.02 if mode == "x" and chance() < 0.5 else None
        at = begins + chance() * dice.choice([0.2, 2, 15])
        acts.append(Act(at=at, do=call, job=job, which=chance(), cut_off=cut_off))
    if own_id and chance() < 0.5:
        at = begins + chance() * 10
        acts.append(Act(at=at, do="delete", job=job))
        acts.append(Act(at=at + chance() * 0.05, kind=dice.choice(KINDS), **create))
    if chance() < 0.3:
        acts.append(Act(at=begins + 15 + chance() * 12, do="retry", job=job))
    return acts


def _follower(dice: random.Random, jobs: int) -> FollowerPlan:
    by: Transports = dice.choice(["websocket", "websocket", "websocket", "sse", "sse", "polling", "all"])
    return FollowerPlan(
        at=dice.random() * dice.choice([3, 12, 28]),
        job=dice.randrange(jobs) + (RETRIES if dice.random() < 0.1 else 0),
        by=by,
        window=dice.choice([1, 2, 8, 64]),
        slow=dice.choice([0, 0, 0, 0.3, 2]),
        leaves=dice.choice([0, 0, 0, 1, 3]),
        flickers=dice.choice([0, 0, 0, 30]),
        token=dice.randint(0, 3),
    )


def _incidents(dice: random.Random, followers: int, mode: str) -> list[Act]:
    chance = dice.random
    acts = []
    for _ in range(dice.choice([0, 1, 1, 2, 4])):
        kind: Incident = dice.choice(["crash", "crash", "crash", "stop", "freeze", "freeze"])
        down = dice.choice([0.01, 0.3, 1.4, 2, 5])
        acts.append(Act(at=chance() * 28, do=kind, down=down, silent=chance() < 0.3))
    if chance() < 0.3:
        acts.append(Act(at=chance() * 25, do=dice.choice(["disk fails", "disk hangs"]), down=dice.choice([0.5, 2, 5])))
    for _ in range(dice.choice([0, 0, 1, 2])):
        at, follower = chance() * 28, dice.randrange(followers)
        if chance() < 1 / 3:
            acts.append(Act(at=at, do="network lost", follower=follower))
            at += chance() * 8
        acts.append(Act(at=at, do="network restored", follower=follower))
    if mode == "c":
        for _ in range(dice.choice([1, 1, 2])):
            seconds = dice.choice([0.5, 2, 10, 120, 3600]) * dice.choice([1, -1])
            acts.append(Act(at=chance() * 28, do="clock", seconds=8 * 86_400 if chance() < 0.1 else seconds))
    return acts
