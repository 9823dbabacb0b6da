"""How a worker outside of the server gets a job: it makes one, or claims one that is there."""

import asyncio
import os
import secrets
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypedDict

import msgspec

from shelfwire.client.errors import ConnectionLostError, RefusedError, problem_in, read
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import HttpClient, NetworkError, Request, Response, UntrustedError, header_value
from shelfwire.clock import Clock
from shelfwire.errors import Code
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.reports import DEFAULT_LEASE, MAX_WORKER_CHARS
from shelfwire.protocol.state import State

AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a little later."""
FIRST_PAUSE: Final = 0.1
LAST_PAUSE: Final = 1.0
"""Seconds from one try of a request to the next, half of them at random."""
BEGIN_SECONDS: Final = 30.0
"""How long to try to reach a server before the work begins."""
MAX_WAIT: Final = 20.0
"""The most seconds that one claim waits; a proxy would cut longer ones."""
PATIENCE_SECONDS: Final = 900.0
"""How long to send a report again: nobody can take the job while the server is away, so coming back is right."""
BUSY_MARGIN: Final = 5
"""Seconds beyond its lease that a dead worker is waited for."""

_encode: Final = msgspec.json.Encoder().encode


class Stopped(Exception):  # noqa: N818 - nothing is wrong: the owner asked for it
    """The job's owner wants it canceled or paused. Leave the work; leaving the reporter confirms it.

    Attributes:
        stop: `cancel` or `pause`.
    """

    def __init__(self, stop: str) -> None:
        self.stop = stop
        super().__init__(f"The job's owner asked for: {stop}")


class Busy(Exception):  # noqa: N818 - nothing is wrong: the job is in other hands
    """Another worker holds the job and lives, as where a broker has delivered a task twice. Leave the job to it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Another worker holds job {job_id}. Leave the job to it")


class JobEnded(Exception):  # noqa: N818 - nothing is wrong: the work is done
    """The job has ended already: there is nothing left to do.

    Attributes:
        status: `complete`, `failed` or `canceled`.
    """

    def __init__(self, job_id: str, status: str) -> None:
        self.status = status
        super().__init__(f"Job {job_id} has ended already: {status}")


class AttemptLostError(Exception):
    """The attempt has lost its job: another worker has it, its owner has erased it, or the server was away too long.

    What was reported until then is kept, and another attempt goes on from there. Stop working.
    """


class Retries:
    """Sends requests again while the server is away.

    Args:
        http: the way to the server.
        clock: the source of the time.
        random_fraction: returns fractions in [0, 1), which shorten the pauses.
    """

    def __init__(self, http: HttpClient, clock: Clock, random_fraction: Callable[[], float]) -> None:
        self.http = http
        self.clock = clock
        self.random_fraction = random_fraction

    async def answered(self, request: Request, seconds: float) -> tuple[Response, float]:
        """Send a request until it is answered, and return the answer, and the monotonic time it was sent at.

        Args:
            request: the request, which must do no harm if it arrives twice.
            seconds: for how long to try.

        Raises:
            ConnectionLostError: there was no answer in that time.
            RefusedError: the last answer, if the server only asked to come again.
        """
        until = self.clock.monotonic() + seconds
        pause = FIRST_PAUSE
        while True:
            sent = self.clock.monotonic()
            try:
                answer = await self.http.request(request)
                if answer.status not in AGAIN:
                    return answer, sent
                failure: RefusedError = problem_in(answer) or ConnectionLostError(f"it answered {answer.status}")
            except UntrustedError as error:
                raise ConnectionLostError(str(error)) from error
            except NetworkError as error:
                failure = ConnectionLostError(str(error))
            if self.clock.monotonic() >= until:
                raise failure
            await self.clock.wait(asyncio.Event(), pause * (0.5 + self.random_fraction() / 2))
            pause = min(LAST_PAUSE, 2 * pause)


class Input(msgspec.Struct, frozen=True, rename="camel"):
    """An input of a job: its name, its size in bytes, and its path on the server."""

    name: str
    size: int
    url: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that this worker holds.

    Attributes:
        job_id: the job.
        report_token: the secret to report with.
        attempt: its number, from 1.
        lease_seconds: how long the job is held from each report.
        recorded: the first and last indices of what earlier attempts have recorded, ascending.
        selection: likewise, which items of the input the job is about; None for all.
        inputs: what the job works on.
        state: the job; None where it was made just now.
        token: the owner's secret, where the job was made just now.
    """

    report_token: str
    attempt: int
    lease_seconds: int
    recorded: Sequence[tuple[int, int]]
    selection: Sequence[tuple[int, int]] | None = None
    inputs: Sequence[Input] = ()
    state: State | None = None
    job_id: str = ""
    token: str | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job_id if self.state is None else self.state.job_id

    @property
    def handle(self) -> JobHandle | None:
        """The owner's handle of the job, where it was made just now."""
        return None if self.token is None else JobHandle(self.id, self.token)

    @property
    def renew_seconds(self) -> float:
        """From one renewal of the lease to the next; a cancel is heard of within two seconds."""
        return min(2.0, self.lease_seconds / 3)

    def __repr__(self) -> str:
        return f"Attempt({self.id!r}, attempt={self.attempt}, report_token=…)"

    def request(self, method: str, below: str, **content: Any) -> Request:
        """Make a request with the report token."""
        headers = {"Authorization": f"Bearer {header_value(self.report_token, 'The report token')}"}
        return Request(method=method, path=JobHandle(self.id, "").path(below), headers=headers, **content)


class ReportOptions(TypedDict, total=False):
    """How a job is reported.

    Attributes:
        total: the number of items, if it is known.
        job_id: a UUID of the caller's own choice, such as one made of a task's id: the job is claimed if it is there.
        metadata: describes the input.
        tags: by which the job can be found.
        lease: whole seconds after which another worker may have the job, if this process dies; 10 unless given.
        busy_wait: seconds to wait for a job that another worker holds; `lease` and five more unless given. With less a
            task would be dropped that is delivered again while its dead twin still holds the job.
        worker: what the worker calls itself; host and process unless given.
        patience: seconds for which a report is sent again while the server is away; 15 minutes unless given.
        callback_url: called when the job has ended, if it is made here; its host must be one that the server calls.
    """

    total: int | None
    job_id: str | None
    metadata: Metadata | None
    tags: Sequence[str]
    lease: int
    busy_wait: float | None
    worker: str | None
    patience: float
    callback_url: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a reporter is to report: a job of a pipeline, and `ReportOptions`."""

    pipeline: str
    total: int | None = None
    job_id: str | None = None
    metadata: Metadata | None = None
    tags: Sequence[str] = ()
    lease: int = DEFAULT_LEASE
    busy_wait: float | None = None
    worker: str | None = None
    patience: float = PATIENCE_SECONDS
    callback_url: str | None = None


def worker_name() -> str:
    """Return a name for this process, for people."""
    return f"{socket.gethostname()} {os.getpid()}"[:MAX_WORKER_CHARS]


async def begin(retries: Retries, key: Mapping[str, str], plan: Plan) -> Attempt:
    """Make the job and hold it; or claim it, if it is there already.

    Args:
        retries: sends requests.
        key: the header that carries the API key.
        plan: what is to be reported.

    Raises:
        Busy: another worker holds the job, and goes on holding it.
        JobEnded: the job has ended.
        Stopped: the job is paused.
        RefusedError: the server refuses it.
        ConnectionLostError: the server cannot be reached.
        TypeError: the tags are one text, whose characters would be taken for tags.
    """
    if isinstance(plan.tags, str):
        raise TypeError(f"tags are a list of texts: [{plan.tags!r}]")
    job_id = plan.job_id or str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    common = {"leaseSeconds": plan.lease, "worker": plan.worker or worker_name()}
    wanted: dict[str, Any] = {"pipeline": plan.pipeline, "jobId": job_id, **common}
    wanted |= {} if plan.total is None else {"totalCount": plan.total}
    wanted |= {} if plan.metadata is None else {"metadata": plan.metadata}
    wanted |= {} if plan.callback_url is None else {"callbackUrl": plan.callback_url}
    wanted |= {"tags": list(plan.tags)} if plan.tags else {}
    create = Request(method="POST", path="/api/jobs", headers=key, content=_encode(wanted))
    try:
        return read((await retries.answered(create, BEGIN_SECONDS))[0], Attempt)
    except RefusedError as refused:
        if refused.code != Code.JOB_EXISTS:
            raise
    wait = plan.lease + BUSY_MARGIN if plan.busy_wait is None else plan.busy_wait
    until = retries.clock.monotonic() + wait
    while True:
        left = max(0.0, until - retries.clock.monotonic())
        claim = {"jobId": job_id, "wait": min(MAX_WAIT, left), **common}
        found = await claimed(retries, key, claim)
        if found is not None:
            return found
        if left <= MAX_WAIT:
            raise Busy(job_id)


async def claimed(
    retries: Retries, key: Mapping[str, str], wanted: Mapping[str, Any], seconds: float = BEGIN_SECONDS
) -> Attempt | None:
    """Claim a job; None if there was none in time.

    Args:
        retries: sends the request.
        key: the header that carries the API key.
        wanted: the body of the claim.
        seconds: for how long to try to reach the server.

    Raises:
        JobEnded, Stopped, RefusedError, ConnectionLostError: as in `begin`.
    """
    request = Request(method="POST", path="/api/work/claim", headers=key, content=_encode(wanted))
    answer, _ = await retries.answered(request, seconds)
    if answer.good and not answer.body:
        return None
    try:
        return read(answer, Attempt)
    except RefusedError as refused:
        status = refused.details.get("status") if isinstance(refused.details, dict) else None
        if refused.code != Code.JOB_STATE or status is None:
            raise
        if status == Status.PAUSED:
            raise Stopped("pause") from None
        raise JobEnded(str(wanted.get("jobId")), str(status)) from None
