"""Histories made by hand, one for each fault that was found: under no schedule may one of them break anything."""

from typing import Any, Final

import msgspec

from tests.simulation.plans import Act, Conditions, FollowerPlan, Plan, Work

EIGHT_DAYS: Final = 8 * 86_400.0


def _plan(*acts: Act, followers: tuple[FollowerPlan, ...] = (), **conditions: Any) -> Plan:
    return Plan(conditions=Conditions(**conditions), acts=acts, followers=followers)


def _create(at: float = 1.0, kind: str = "slow", job: int = 0, *, own_id: bool = False, **work: Any) -> Act:
    return Act(at=at, do="create", job=job, kind=kind, own_id=own_id, work=Work(**work))


SCENARIOS: Final = {
    "a token is revoked while its connection is full": _plan(
        _create(kind="slow", items=30, pace=0.2),
        Act(at=1.1, do="token", which=0.9),
        Act(at=2.7, do="revoke", which=0.9),
        Act(at=3.2, do="revoke", which=0.9),
        followers=(
            FollowerPlan(at=2.0, window=1, slow=2.0, token=1),
            FollowerPlan(at=2.5, window=1, slow=2.0, token=1),
        ),
    ),
    "an owner's call is cut off between its commit and the answer": _plan(
        _create(items=30),
        Act(at=1.2, do="pause"),
        *(Act(at=3.0 + number, do="cancel", cut_off=0.004 * number) for number in range(1, 9)),
        followers=(FollowerPlan(at=2.0), FollowerPlan(at=2.2, by="sse")),
        lag=0.02,
    ),
    "a deletion is cut off between its commit and the answer": _plan(
        _create(items=30),
        *(Act(at=3.0 + number, do="delete", cut_off=0.004 * number) for number in range(1, 9)),
        followers=(FollowerPlan(at=2.0), FollowerPlan(at=2.2, by="sse")),
    ),
    "an id is made again while followers attach": _plan(
        _create(items=30, own_id=True),
        Act(at=4.0, do="delete"),
        _create(at=4.01, items=12, own_id=True),
        followers=tuple(FollowerPlan(at=1.5 + number / 3, flickers=30) for number in range(6)),
        late=0.5,
    ),
    "an id is made again while followers read what is left of its job": _plan(
        _create(items=30, pace=0.2, own_id=True),
        Act(at=4.0, do="delete"),
        _create(at=4.01, kind="silent", items=2, own_id=True),
        followers=(
            *(FollowerPlan(at=2.0, window=1, slow=2.0) for _ in range(2)),
            *(FollowerPlan(at=4.2 + number / 10, by="sse" if number % 2 else "websocket") for number in range(4)),
        ),
        lag=0.2,
    ),
    "a job is deleted between the reading of its row and the attachment": _plan(
        _create(kind="silent", items=4, pace=8.0),
        Act(at=4.0, do="delete"),
        followers=tuple(FollowerPlan(at=1.5 + number / 5) for number in range(12)),
        late=0.7,
    ),
    "a job ends between the reading of its row and the attachment": _plan(
        _create(kind="slow", items=6, pace=0.3),
        followers=tuple(FollowerPlan(at=1.2 + number / 10) for number in range(12)),
        late=0.7,
    ),
    "an id is made again while the sweep erases its job": _plan(
        _create(kind="fast", items=3, own_id=True),
        *(_create(at=14.0 + number / 2, kind="slow", items=12, own_id=True) for number in range(20)),
        followers=(FollowerPlan(at=2.0, window=1, slow=2.0, flickers=30), FollowerPlan(at=20.0)),
        job_ttl=8,
        late=0.3,
    ),
    "a sweep breaks off after an ending": _plan(
        *(_create(job=job, items=30, pace=1.0) for job in range(6)),
        *(Act(at=2.5, do="pause", job=job) for job in range(6)),
        Act(at=5.0, do="clock", seconds=EIGHT_DAYS),
        Act(at=7.25, do="disk fails", down=5.0, calls=("expire",)),
        followers=tuple(FollowerPlan(at=3.0, job=job) for job in range(6)),
        lag=0.2,
        workers=6,
    ),
    "the clock is set back while a job waits after an error": _plan(
        _create(kind="raising", items=12),
        Act(at=1.6, do="clock", seconds=-3600.0),
        followers=(FollowerPlan(at=1.2),),
        patience=60.0,
    ),
    "the clock is set back while jobs are queued": _plan(
        *(_create(at=1.0 + job / 10, job=job, items=3) for job in range(6)),
        Act(at=1.55, do="clock", seconds=-3600.0),
        followers=(FollowerPlan(at=1.6, job=5),),
        workers=1,
        patience=60.0,
    ),
    "the clock is set forward while a job runs": _plan(
        _create(kind="silent", items=2, pace=6.0),
        Act(at=3.0, do="clock", seconds=3600.0),
        Act(at=9.0, do="clock", seconds=-7200.0),
        followers=(FollowerPlan(at=1.2),),
    ),
    "the disk stands still for longer than a lease": _plan(
        _create(kind="silent", items=2, pace=6.0),
        _create(at=1.2, kind="keeping", job=1, items=6, pace=1.0),
        *(Act(at=at, do="disk hangs", down=2.5) for at in (3.0, 8.3, 14.1)),
        followers=(FollowerPlan(at=1.5),),
    ),
    "the process stands still for longer than a lease": _plan(
        _create(kind="silent", items=2, pace=6.0),
        *(Act(at=at, do="freeze", down=2.5) for at in (3.0, 8.3, 14.1)),
        followers=(FollowerPlan(at=1.5),),
    ),
    "a paid answer cannot be kept for a while": _plan(
        _create(kind="keeping", items=3),
        *(Act(at=at, do="disk fails", down=5.0, calls=("keep", "kept", "read_input")) for at in (1.0, 6.0, 11.0, 16.0)),
        followers=(FollowerPlan(at=1.2),),
    ),
    "progress comes from several sides at once": _plan(
        *(_create(at=1.0 + job / 50, kind="several", job=job, items=12) for job in range(4)),
        *(Act(at=1.5 + number / 50, do="pause" if number % 2 else "resume") for number in range(20)),
        followers=(FollowerPlan(at=1.005), FollowerPlan(at=1.4, by="sse"), FollowerPlan(at=1.4, flickers=30)),
        lag=0.002,
    ),
    "answers of the store are lost": _plan(
        *(_create(at=1.0, job=job, kind=kind, items=12) for job, kind in enumerate(("slow", "several", "keeping"))),
        Act(at=2.0, do="pause"),
        Act(at=4.0, do="resume"),
        followers=tuple(FollowerPlan(at=1.5, job=job) for job in range(3)),
        losing=0.3,
    ),
    "the answers to requests of owners are lost": _plan(
        *(_create(job=job, items=30, pace=1.0) for job in range(4)),
        *(Act(at=2.0, do="pause", job=job) for job in range(2)),
        Act(at=5.0, do="disk loses", down=4.0, calls=("request", "delete", "revoke")),
        Act(at=6.0, do="cancel", job=0),
        Act(at=6.0, do="delete", job=1),
        Act(at=6.0, do="delete", job=2),
        Act(at=6.0, do="cancel", job=3),
        followers=tuple(
            FollowerPlan(at=3.0, job=job, by=by) for job in range(4) for by in ("websocket", "sse", "polling")
        ),
    ),
    "a job is deleted after the answer to its ending was lost": _plan(
        *(_create(job=job, kind="silent", items=1, pace=2.0) for job in range(4)),
        Act(at=1.6, do="disk loses", down=8.0, calls=("commit",)),
        *(Act(at=4.5, do="delete", job=job) for job in range(4)),
        followers=tuple(FollowerPlan(at=1.2 + job / 20, job=job) for job in range(4)),
        lease=60.0,
    ),
    "a server crashes again and again": _plan(
        *(_create(at=1.0, job=job, kind=kind, items=12) for job, kind in enumerate(("slow", "several", "keeping"))),
        *(Act(at=2.0 + 2 * number, do="crash", down=0.3, silent=number % 2 == 1) for number in range(6)),
        followers=tuple(FollowerPlan(at=1.5, job=job, by="all") for job in range(3)),
        late=0.3,
    ),
    "a server is stopped while its pipelines cling": _plan(
        _create(kind="clinging", items=12, cling=8.0),
        *(Act(at=3.0 + 5 * number, do="stop", down=0.3) for number in range(4)),
        followers=(FollowerPlan(at=1.5), FollowerPlan(at=1.6, by="polling")),
        grace=0.2,
    ),
    "a job is followed on two nodes that hear no hints": _plan(
        _create(kind="slow", items=12),
        _create(at=2.0, kind="slow", job=1, items=12),
        followers=tuple(
            FollowerPlan(at=2.5, job=job, by=by, node=node)
            for job in range(2)
            for node in range(2)
            for by in ("websocket", "sse", "polling")
        ),
        nodes=2,
        deaf=1.0,
        unheard=2.0,
        steadfast=True,
    ),
    "a token is revoked on one node while another one hears no hints": _plan(
        _create(kind="slow", items=30, pace=1.0),
        Act(at=1.4, do="token", which=0.9),
        Act(at=3.0, do="revoke", which=0.9, node=0),
        followers=tuple(FollowerPlan(at=2.0, by=by, node=1, token=1) for by in ("websocket", "sse")),
        nodes=2,
        deaf=1.0,
        unheard=2.0,
    ),
    "a job is deleted on one node while another one hears no hints": _plan(
        *(_create(job=job, kind="slow", items=30, pace=1.0) for job in range(2)),
        *(Act(at=5.0, do="delete", job=job, node=job) for job in range(2)),
        followers=tuple(
            FollowerPlan(at=2.0, job=job, by=by, node=1 - job) for job in range(2) for by in ("websocket", "sse")
        ),
        nodes=2,
        deaf=1.0,
        unheard=2.0,
        steadfast=True,
    ),
    "a job is canceled on another node than it runs on": _plan(
        *(_create(job=job, kind="silent", items=2, pace=900.0) for job in range(2)),
        *(Act(at=5.0, do="cancel", job=job, node=job) for job in range(2)),
        followers=(FollowerPlan(at=2.0), FollowerPlan(at=2.0, job=1)),
        nodes=2,
        deaf=1.0,
        lease=900.0,
        stall_after=0.0,
        patience=60.0,
    ),
    "an id is made again on another node": _plan(
        _create(items=30, pace=0.2, own_id=True),
        Act(at=4.0, do="delete", node=0),
        msgspec.structs.replace(_create(at=4.05, items=60, pace=0.2, own_id=True), node=1),
        followers=(
            *(FollowerPlan(at=2.0, node=node) for node in range(2)),
            *(FollowerPlan(at=2.0, window=1, slow=2.0, node=node) for node in range(2)),
            *(FollowerPlan(at=1.5 + number / 3, flickers=30, node=number % 2) for number in range(6)),
        ),
        nodes=2,
        deaf=0.5,
        late=0.3,
    ),
    "the store of two nodes is away for longer than a lease": _plan(
        *(_create(at=1.0 + job / 10, job=job, kind="silent", items=2, pace=6.0) for job in range(4)),
        Act(at=8.0, do="disk fails", down=3.0),
        Act(at=18.0, do="disk hangs", down=3.0),
        followers=tuple(FollowerPlan(at=2.0, job=job) for job in range(4)),
        nodes=2,
        workers=2,
        steadfast=True,
    ),
    "a token expires while its follower is connected": _plan(
        _create(kind="slow", items=60, pace=1.0),
        Act(at=1.4, do="token", which=0.1),
        followers=tuple(FollowerPlan(at=2.0, by=by, token=1) for by in ("websocket", "sse")),
        token_ttl=5,
    ),
    "an ended job is canceled and its follower comes late": _plan(
        _create(kind="fast", items=3),
        *(Act(at=2.0 + number, do="cancel") for number in range(3)),
        followers=(FollowerPlan(at=6.0), FollowerPlan(at=6.0, by="polling")),
    ),
}
"""By what happens in them."""
