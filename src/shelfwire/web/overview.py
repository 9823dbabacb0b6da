"""How the server stands, for operators."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.jobs.figures import Quantiles, Recorder
from shelfwire.jobs.listing import JobFilter
from shelfwire.jobs.operator_store import Tally
from shelfwire.jobs.outbox import DeliveryStatus
from shelfwire.metrics import Metrics
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Count, Millis, Uuid
from shelfwire.web.compression import compressed
from shelfwire.web.keys import Role
from shelfwire.web.operators import operator_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, OPERATOR, OPERATORS, Answer, Context, Route
from shelfwire.web.success import Counted, SuccessFigures, success_of

WINDOWS: Final = {"15m": 900.0, "6h": 6 * 3600.0, "7d": 7 * 86400.0}
WEEK: Final = WINDOWS["7d"]
DAY: Final = 86400.0
MAX_HELD: Final = 200
"""The most jobs that are named as held by workers."""
MAX_STALLED: Final = 20
"""The most stalled jobs that are named."""


class Held(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Workers of one name, and the jobs that they hold."""

    name: Annotated[str, Meta(description="What it calls itself; `(inside)` is the server's own.")]
    remote: Annotated[bool, Meta(description="Whether it is outside of the server.")]
    jobs: Annotated[list[str], Meta(description="The ids of the jobs.")]


class Node(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A server process."""

    version: Annotated[str, Meta(description="Its version.")]
    workers: Annotated[Count, Meta(description="Jobs that it runs at once.")]


class Queue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The jobs that wait for a worker."""

    length: Annotated[Count, Meta(description="How many.")]
    age_seconds: Annotated[float, Meta(description="How long the one has waited that is next.")]
    stalled: Annotated[Count, Meta(description="Running jobs, elsewhere too, that have recorded nothing for long.")]


class Stalled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A running job that has recorded nothing for long."""

    job_id: Annotated[Uuid, Meta(description="The job.")]
    last_update_time: Annotated[Millis, Meta(description="When it last changed, in milliseconds since the epoch.")]


class Times(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The distribution of a duration, to 22 %."""

    count: Annotated[Count, Meta(description="How often it was measured.")]
    p50: Annotated[float | None, Meta(description="Seconds that half of them took at most.")] = None
    p99: Annotated[float | None, Meta(description="Seconds that 99 of 100 took at most.")] = None


class Disk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The disk of the data folder."""

    free_bytes: Annotated[int, Meta(description="Bytes that are free.")]
    total_bytes: Annotated[int, Meta(description="Bytes that it has.")]
    data_bytes: Annotated[int, Meta(description="Bytes of the database.")]


class Deliveries(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The webhooks that are not done."""

    waiting: Annotated[Count, Meta(description="Those that are yet to be tried, or to be tried again.")]
    given_up: Annotated[Count, Meta(description="Those of the last 7 days that are not tried any more.")]


class Overview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the server stands."""

    nodes: Annotated[list[Node], Meta(description="The server's processes.")]
    workers: Annotated[list[Held], Meta(description="Who holds jobs, 200 jobs at most.")]
    queue: Annotated[Queue, Meta(description="The jobs that wait.")]
    jobs: Annotated[dict[str, dict[str, Count]], Meta(description="The number of jobs, by pipeline and status.")]
    followers: Annotated[dict[str, Count], Meta(description="The followers, by transport.")]
    stalled_jobs: Annotated[
        list[Stalled], Meta(description="Some of those that have recorded nothing for long, the longest first.")
    ]
    items: Annotated[Count, Meta(description="Items recorded since the process began.")]
    commits: Annotated[Count, Meta(description="Commits of progress since the process began.")]
    sent_bytes: Annotated[Count, Meta(description="Bytes sent to followers since the process began.")]
    times: Annotated[
        dict[str, dict[str, Times]],
        Meta(description="Durations by window (`15m`, `6h`, `7d`), then by what they are of."),
    ]
    rates: Annotated[dict[str, float], Meta(description="Jobs a minute in the last 15 minutes: started and complete.")]
    errors: Annotated[dict[str, Count], Meta(description="Errors since the process began, by code.")]
    disk: Annotated[Disk | None, Meta(description="The disk; null where it cannot be looked at.")]
    webhooks: Annotated[Deliveries, Meta(description="The webhooks that are not done.")]
    success: Annotated[SuccessFigures, Meta(description="What ought to go well, of the last 7 days.")]
    at: Annotated[Millis, Meta(description="When this was so, in milliseconds since the epoch.")]


async def overview(request: Request, context: Context) -> Response:
    """Say how the server stands, for operators."""
    async with operator_of(request, context, Role.READ, "overview"):
        return await compressed(request, success_response(await overview_of(context), context.service.now()))


async def overview_of(context: Context) -> Overview:
    """Return how the server stands now; for all who ask within a second the same."""
    return await context.operator.once_a_second("overview", lambda: _overview_of(context))


async def _overview_of(context: Context) -> Overview:
    service, recorder, metrics = context.service, context.recorder, context.metrics
    stats = await service.stats()
    held = await context.operator.jobs(JobFilter(status=(Status.RUNNING, Status.CANCELING)), limit=MAX_HELD)
    week, day = await recorder.tallies(WEEK), await recorder.tallies(DAY)
    jobs: dict[str, dict[str, int]] = {}
    for (pipeline, status), number in (stats.jobs or {}).items():
        jobs.setdefault(pipeline, {})[str(status)] = number
    holders: dict[tuple[str, bool], list[str]] = {}
    for state in held.states:
        holders.setdefault((state.worker or ("(unnamed)" if state.remote else "(inside)"), state.remote), []).append(
            state.id
        )
    times = {name: recorder.quantiles(seconds) for name, seconds in WINDOWS.items()}
    recent, deliveries = times["15m"], stats.deliveries or {}
    return Overview(
        at=service.now(),
        nodes=[Node(version=version("shelfwire"), workers=context.settings.workers)],
        workers=[Held(name=name, remote=remote, jobs=ids) for (name, remote), ids in holders.items()],
        queue=Queue(
            length=sum(by.get(Status.QUEUED, 0) for by in jobs.values()),
            age_seconds=stats.queue_age,
            stalled=stats.stalled,
        ),
        jobs=jobs,
        followers=dict(stats.followers),
        stalled_jobs=_stalled(held.states),
        items=metrics.items(),
        commits=round(sum(metrics.snapshot()["commit"])),
        sent_bytes=stats.sent_bytes,
        times={window: {name: _times(one) for name, one in found.items()} for window, found in times.items()},
        rates={
            "startedPerMinute": recent["queueWait"].number / 15,
            "completePerMinute": recent["jobDuration"].number / 15,
        },
        errors=metrics.errors(),
        disk=await asyncio.to_thread(_disk, context.settings.data),
        webhooks=Deliveries(
            waiting=deliveries.get(DeliveryStatus.WAITING, 0), given_up=deliveries.get(DeliveryStatus.GIVEN_UP, 0)
        ),
        success=_success(recorder, metrics, week, day),
    )


def _stalled(states: Sequence[JobState]) -> list[Stalled]:
    found = sorted((state for state in states if state.stalled), key=lambda state: state.updated_at)
    return [Stalled(job_id=state.id, last_update_time=state.updated_at) for state in found[:MAX_STALLED]]


def _times(found: Quantiles) -> Times:
    return Times(count=found.number, p50=found.p50, p99=found.p99)


def _disk(folder: Path) -> Disk | None:
    try:
        usage = shutil.disk_usage(folder)
        data = sum(path.stat().st_size for path in folder.glob("shelfwire.sqlite3*"))
    except OSError:
        return None
    return Disk(free_bytes=usage.free, total_bytes=usage.total, data_bytes=data)


def _success(
    recorder: Recorder, metrics: Metrics, week: Mapping[str, Tally], day: Mapping[str, Tally]
) -> SuccessFigures:
    news = "commitToReceipt"
    return success_of(
        week=Counted(week, recorder.quantiles(WEEK)[news].number),
        day=Counted(day, recorder.quantiles(DAY)[news].number),
        since_start=Counted(metrics.totals(), round(sum(metrics.snapshot()[news]))),
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/admin/overview",
        handler=overview,
        answers={200: Answer(content={JSON_TYPE: Success[Overview]}, headers=[CACHING])},
        security=OPERATOR,
        refusals=OPERATORS,
    ),
)
