"""A server in memory, and a clock on which no wait takes any time."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shelfwire.client.handle import JobHandle
from shelfwire.client.http import (
    CutError,
    Event,
    NetworkError,
    Request,
    Response,
    Socket,
    UnexpectedAnswerError,
    UnreachableError,
)
from shelfwire.client.testing import fake_work
from shelfwire.client.testing.fake_job import POLICY, FakeJob, Listener, Step
from shelfwire.clock import Clock, yield_to_loop
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import Transition
from shelfwire.protocol.messages import Message, Ping, Pong, SyncRequest, decode, encode
from shelfwire.protocol.reconnect import Transport

START_MS: Final = 1_700_000_000_000
CLOSED_NORMALLY: Final = 1000


class InstantClock:
    """A clock on which every wait is over at once.

    Attributes:
        waits: the seconds of each wait, in order.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._seconds = 0.0

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return START_MS + round(self._seconds * 1000)

    def monotonic(self) -> float:
        """Return the seconds waited so far."""
        return self._seconds

    def steady(self) -> int:
        """Return milliseconds since the epoch; nobody sets this clock."""
        return self.now()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Let `seconds` pass, unless `event` is set."""
        await yield_to_loop()
        if not event.is_set():
            self.waits.append(seconds)
            self._seconds += seconds


class FakeServer:
    """An `HttpClient` for a server in memory. Jobs take the steps of a script; or they are reported, as to any server.

    Args:
        script: the steps of each job that is created.
        transports: those that get through; the others are refused, as by a proxy.
        creation_paths: routes that create jobs, each with the pipeline of its jobs, beside
            `/api/pipelines/{name}/jobs`; such as `shelfwire.books.client.CREATION_PATHS`.
        results_name: what the list of done items is called in inline results: the `results_name` of the pipelines.
        clock: the server's clock, which answers carry and tokens end by; without one no answer has the time.

    Attributes:
        script: see above; may be changed between two jobs.
        transports: see above; may be changed at any time.
        reachable: whether there is a server at all; may be changed at any time.
        losing: number of answers to lose after the server has handled their requests.
        requests: the requests received, in order.
        sent: the messages that clients sent on their sockets, in order.
        jobs: the jobs created, by id.
        will: answers and failures for the next requests, in place of the server's own.
    """

    def __init__(
        self,
        *script: Step,
        transports: tuple[str, ...] = tuple(Transport),
        creation_paths: Mapping[str, str] | None = None,
        results_name: str = "items",
        clock: Clock | None = None,
    ) -> None:
        self.script = script
        self.transports = transports
        self.reachable = True
        self.losing = 0
        self.requests: list[Request] = []
        self.sent: list[Message] = []
        self.jobs: dict[str, FakeJob] = {}
        self.will: deque[Response | NetworkError] = deque()
        self._creation_paths = creation_paths or {}
        self._results_name = results_name
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._tokens = 0

    def add(self, *script: Step, pipeline: str = "demo", job_id: str | None = None) -> JobHandle:
        """Create a job without a request, with a script of its own."""
        job_id = job_id or str(uuid.UUID(int=len(self.jobs) + 1))
        job = FakeJob(job_id, pipeline, script, START_MS, results_name=self._results_name)
        self.jobs[job.state.id] = job
        return JobHandle(job.state.id, self._new_token(job))

    def go_on(self, job: JobHandle, *script: Step) -> None:
        """Add steps to the script of a job, and wake the followers that wait."""
        self.jobs[job.job_id].go_on(*script)

    async def request(self, request: Request) -> Response:
        """See `HttpClient.request`."""
        prepared = self._arrive(request)
        if prepared is not None:
            return prepared
        try:
            answer = await self._answer(request)
        except ShelfwireError as error:
            answer = problem(error)
        if self._clock is not None and answer.good:
            answer = _stamped(answer, self._clock.now())
        if self.losing:
            self.losing -= 1
            raise CutError("The answer was lost")
        return answer

    @asynccontextmanager
    async def socket(self, request: Request) -> AsyncIterator[Socket]:
        """See `HttpClient.socket`."""
        job = self._open(request, Transport.WEBSOCKET, request.params["jobId"])
        yield _FakeSocket(Listener(job, int(request.params.get("after", "0"))), self.sent)

    @asynccontextmanager
    async def events(self, request: Request) -> AsyncIterator[AsyncIterator[Event]]:
        """See `HttpClient.events`."""
        job = self._open(request, Transport.SSE, request.path.split("/")[3])
        async with aclosing(_events(Listener(job, int(request.headers.get("Last-Event-ID", "0"))))) as events:
            yield events

    async def aclose(self) -> None:
        """See `HttpClient.aclose`."""

    def _arrive(self, request: Request) -> Response | None:
        self.requests.append(request)
        if not self.reachable:
            raise UnreachableError("No server listens there")
        prepared = self.will.popleft() if self.will else None
        if isinstance(prepared, NetworkError):
            raise prepared
        return prepared

    def _open(self, request: Request, transport: Transport, job_id: str) -> FakeJob:
        prepared = self._arrive(request)
        if prepared is None and transport not in self.transports:
            prepared = Response(502, {}, b"<html>Bad gateway</html>")
        if prepared is not None:
            raise UnexpectedAnswerError(prepared)
        try:
            return self._admit(request, job_id)
        except ShelfwireError as error:
            raise UnexpectedAnswerError(problem(error)) from None

    def _admit(self, request: Request, job_id: str) -> FakeJob:
        job = self.jobs.get(job_id)
        if job is None or _bearer(request) not in job.tokens:
            raise ShelfwireError(Code.UNAUTHORIZED)
        return job

    async def _answer(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["health", "live"]:
                return Response(200, {}, b'{"status":"ok"}')
            case "POST", _ if request.path in self._creation_paths:
                return self._create(request, self._creation_paths[request.path], self.script)
            case "POST", ["api", "pipelines", pipeline, "jobs"]:
                return self._create(request, pipeline, self.script)
            case "POST", ["api", "jobs"] | ["api", "work", "claim"] | ["api", "jobs", _, "report"]:
                return self._work(request)
            case method, ["api", "jobs", job_id, *below]:
                return await self._of_job(request, self._admit(request, job_id), (method, *below))
            case _:
                raise ShelfwireError(Code.NOT_FOUND)

    async def _of_job(self, request: Request, job: FakeJob, operation: tuple[str, ...]) -> Response:
        match operation:
            case ("GET",):
                return await self._state(request, job)
            case ("DELETE",):
                return self._delete(job)
            case "GET", "results":
                return _page(request, job)
            case method, "token":
                return self._token(request, job, method)
            case "POST", "retry":
                return self._retry(request, job)
            case _:
                return _control(job, operation)

    def _create(self, request: Request, pipeline: str, script: tuple[Step, ...]) -> Response:
        key = request.headers["Idempotency-Key"]
        known = self.jobs.get(self._keys.get(key, ""))
        if known is not None:
            handle = JobHandle(known.state.id, self._new_token(known))
        else:
            chosen = request.fields.get("jobId") or (request.json or {}).get("jobId")
            if chosen in self.jobs:
                raise ShelfwireError(Code.JOB_EXISTS)
            handle = self.add(*script, pipeline=pipeline, job_id=chosen)
            self._keys[key] = handle.job_id
        return _success(202, {"success": True, "jobId": handle.job_id, "token": handle.token, "message": "Started"})

    def _work(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case [_, "jobs"]:
                return self._create_work(fake_work.read_claim(request.content))
            case [_, _, job_id, "report"] if job_id in self.jobs:
                return _success(200, fake_work.report(self.jobs[job_id], _bearer(request), request.content))
            case [_, "work", "claim"]:
                return self._claim(fake_work.read_claim(request.content))
        raise ShelfwireError(Code.UNAUTHORIZED)

    def _create_work(self, wanted: fake_work.Claim) -> Response:
        if wanted.job_id in self.jobs:
            raise ShelfwireError(Code.JOB_EXISTS)
        handle = self.add(pipeline=wanted.pipeline, job_id=wanted.job_id)
        work = fake_work.claim(self.jobs[handle.job_id], self._new_secret(), wanted)
        return _success(202, {"jobId": handle.job_id, "token": handle.token, **(work or {})})

    def _claim(self, wanted: fake_work.Claim) -> Response:
        if wanted.job_id is not None and wanted.job_id not in self.jobs:
            raise ShelfwireError(Code.NOT_FOUND)
        waiting = [job for job in self.jobs.values() if job.state.pipeline in wanted.pipelines and not job.state.ended]
        for job in [self.jobs[wanted.job_id]] if wanted.job_id is not None else waiting:
            work = fake_work.claim(job, self._new_secret(), wanted)
            if work is not None:
                return _success(200, {"state": job.document(), **work})
        return Response(204, {}, b"")

    async def _state(self, request: Request, job: FakeJob) -> Response:
        after = int(request.params.get("after", "0"))
        while "wait" in request.params and job.state.seq <= after and not job.state.ended:
            await job.next()
        return _success(200, job.document())

    def _delete(self, job: FakeJob) -> Response:
        if not job.state.ended:
            job.change(owner_transitions.delete(job.state, POLICY, now=job.later()))
        del self.jobs[job.state.id]
        return Response(204, {}, b"")

    def _token(self, request: Request, job: FakeJob, method: str) -> Response:
        if method == "DELETE":
            job.tokens.discard(request.headers["Authorization"].removeprefix("Bearer "))
            return Response(204, {}, b"")
        body = request.json or {}
        data: dict[str, Any] = {"token": self._new_token(job), "scopes": body.get("scopes", ["watch"])}
        if "expiresIn" in body:
            now = START_MS if self._clock is None else self._clock.now()
            data["expiresAt"] = now + body["expiresIn"] * 1000
        return _success(200, data)

    def _retry(self, request: Request, job: FakeJob) -> Response:
        if not job.state.ended or not (job.state.failed or job.script):
            raise ShelfwireError(Code.JOB_STATE)
        return self._create(request, job.state.pipeline, self.script)

    def _new_token(self, job: FakeJob) -> str:
        token = self._new_secret()
        job.tokens.add(token)
        return token

    def _new_secret(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"


def _bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


class _FakeSocket:
    def __init__(self, listener: Listener, sent: list[Message]) -> None:
        self._listener = listener
        self._sent = sent

    async def send(self, text: str) -> None:
        job, message = self._listener.job, decode(text)
        if not isinstance(message, Message):
            return
        self._sent.append(message)
        match message.payload:
            case Ping(client_time=client_time):
                pong, state = Pong(client_time=client_time), job.state
                self._listener.add(Message(job_id=state.id, pipeline=state.pipeline, timestamp=0, payload=pong))
                job.go_on()
            case SyncRequest():
                self._listener.add(*job.messages(self._listener.feed.sync(job.state)))

    async def receive(self) -> str:
        message = await self._listener.receive()
        if message is None:
            raise CutError("Job ended", CLOSED_NORMALLY)
        return encode(message)


async def _events(listener: Listener) -> AsyncGenerator[Event]:
    event_id = ""
    while (message := await listener.receive()) is not None:
        if listener.next_seq != message.seq:
            event_id = str(message.seq)
        yield Event(event_id, encode(message))


def problem(error: ShelfwireError, retry_after: int | None = None) -> Response:
    """Make an answer that refuses a request, for `FakeServer.will`."""
    entry = error.code.entry
    document = {"status": entry.status, "code": error.code, "detail": error.message, "userMessage": error.user_message}
    document |= {} if error.details is None else {"details": error.details}
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Response(entry.status, headers, msgspec.json.encode(document))


def _success(status: int, data: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, headers or {}, msgspec.json.encode({"success": True, "data": data}))


def _stamped(answer: Response, now: int) -> Response:
    """Return an answer with the time, if it is an envelope."""
    envelope = msgspec.json.decode(answer.body) if answer.body.startswith(b'{"success"') else None
    if envelope is None:
        return answer
    envelope["metadata"] = {"timestamp": datetime.fromtimestamp(now / 1000, UTC)}
    return msgspec.structs.replace(answer, body=msgspec.json.encode(envelope))


def _control(job: FakeJob, operation: tuple[str, ...]) -> Response:
    if operation not in _OPERATIONS:
        raise ShelfwireError(Code.NOT_FOUND)
    job.change(_OPERATIONS[operation](job.state, job.later()))
    return _success(200, job.document())


_OPERATIONS: Final[dict[tuple[str, ...], Transition]] = {
    ("POST", "cancel"): lambda state, now: owner_transitions.cancel(state, POLICY, now=now),
    ("POST", "pause"): lambda state, now: owner_transitions.pause(state, now=now),
    ("POST", "resume"): lambda state, now: owner_transitions.resume(state, now=now),
}


def _page(request: Request, job: FakeJob) -> Response:
    status = request.params.get("status")
    items = [item for item in job.items if status is None or item["ok"] == (status == "ok")]
    first, limit = int(request.params.get("cursor", "0")), int(request.params.get("limit", "100"))
    more = first + limit < len(items)
    shown, following = items[first : first + limit], str(first + limit) if more else None
    headers = {} if following is None else {"link": f'<?cursor={following}>; rel="next"'}
    match request.headers.get("Accept"):
        case "application/x-ndjson":
            return Response(200, headers, msgspec.json.Encoder().encode_lines(shown))
        case "text/csv":
            lines = [f"{item['index']},{str(item['ok']).lower()},{item['title']}" for item in shown]
            return Response(200, headers, "".join(f"{line}\r\n" for line in ["index,ok,title", *lines]).encode())
        case _:
            return _success(200, {"items": shown, "next": following, "total": len(items)}, headers)
