"""A job that exists only in memory. It takes the next step of its script whenever a follower waits for a change."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shelfwire.client.http import CutError
from shelfwire.clock import yield_to_loop
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import job as jobs
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.feed import Due, Feed, ending_message, progress_message, started_message
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.messages import Message, Metadata, encode, error_of
from shelfwire.protocol.state import State, results_path, state_of
from shelfwire.protocol.worker_transitions import ProgressDelta

STEP_MS: Final = 1000
"""Time between two steps of a script."""
POLICY: Final = Policy(lease=10**12)


class Start(msgspec.Struct, frozen=True):
    """The number of items becomes known."""

    total: int
    metadata: Metadata | None = None


class Record(msgspec.Struct, frozen=True):
    """An item is done, or has failed if `error` is a code."""

    title: str
    result: Any = None
    error: str | None = None


class Say(msgspec.Struct, frozen=True):
    """The job has a message for the user."""

    user_message: str


class Complete(msgspec.Struct, frozen=True):
    """The job is complete."""

    summary: str = ""


class Fail(msgspec.Struct, frozen=True):
    """The job as a whole fails."""

    code: str = Code.INTERNAL


class Cut(msgspec.Struct, frozen=True):
    """The connection of the follower that waits is cut.

    Attributes:
        code: the close code of a WebSocket; None where the connection is lost without one.
    """

    code: int | None = None


Step = Start | Record | Say | Complete | Fail | Cut


class FakeJob:
    """One job.

    Args:
        job_id: its id.
        pipeline: its pipeline.
        script: its steps.
        now: milliseconds since the epoch.
        results_name: what the list of done items is called in the inline results.

    Attributes:
        state: its row.
        items: the recorded items, as on a page of results.
        tokens: its valid tokens.
        report_token: the secret of the worker that holds it and reports; None if it goes by its script.
    """

    def __init__(
        self, job_id: str, pipeline: str, script: Iterable[Step], now: int, *, results_name: str = "items"
    ) -> None:
        self.state = jobs.create(job_id, pipeline, now=now)
        self.items: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.report_token: str | None = None
        self._script = deque(script)
        self._results_name = results_name
        self._now = now
        self._changed = asyncio.Event()

    @property
    def script(self) -> tuple[Step, ...]:
        """The steps that are left."""
        return tuple(self._script)

    def go_on(self, *steps: Step) -> None:
        """Add steps to the script, and wake the followers that wait."""
        self._script.extend(steps)
        self._changed.set()

    def change(self, state: JobState) -> None:
        """Replace the row, and wake the followers that wait."""
        self.state = state
        self._changed.set()

    def later(self) -> int:
        """Let time pass, and return it."""
        self._now += STEP_MS
        return self._now

    async def next(self) -> None:
        """Take the next step; if there is none, wait for one.

        Raises:
            CutError: the step is a cut.
        """
        state = self.state
        await yield_to_loop()  # a follower may react to the last step first
        if self.state is not state:
            return
        now = self.later()
        if self.report_token is None and (state.pausing or state.status is Status.CANCELING):
            self.change(worker_transitions.release(state, state.attempt, POLICY, now=now))
        elif state.ended or state.status is Status.PAUSED or not self._script:
            self._changed.clear()
            await self._changed.wait()
        elif isinstance(step := self._script[0], Cut):
            self._script.popleft()
            raise CutError("The script cut the connection", step.code)
        elif state.status is Status.QUEUED:
            self.change(worker_transitions.claim(state, POLICY, now=now))
        else:
            self.change(self._play(self._script.popleft(), now))

    def messages(self, due: tuple[Due, ...]) -> list[Message]:
        """The messages that are due."""
        of_kind = {Due.STARTED: started_message, Due.PROGRESS: progress_message, Due.ENDING: self._ending}
        return [of_kind[kind](self.state) for kind in due]

    def document(self) -> State:
        """The answer to `GET /api/jobs/{jobId}`."""
        return state_of(self.state, encode(self._ending(self.state)) if self.state.ended else None)

    def _ending(self, state: JobState) -> Message:
        done = [item["result"] for item in self.items if item["ok"]]
        errors = [
            {"index": item["index"], "title": item["title"], **item["error"]} for item in self.items if not item["ok"]
        ]
        results = {self._results_name: done, "errors": errors}
        return ending_message(state, results, results_url=results_path(state.id), truncated=False)

    def _play(self, step: Step, now: int) -> JobState:
        state, attempt = self.state, self.state.attempt
        match step:
            case Start(total=total, metadata=metadata):
                delta = ProgressDelta(total=total, metadata=metadata)
            case Record(title=title, error=None, result=result):
                self._record({"ok": True, "title": title, "result": {"title": title} if result is None else result})
                delta = ProgressDelta(succeeded=1, title=title)
            case Record(title=title, error=str(code)):
                error = msgspec.to_builtins(error_of(ShelfwireError(code)))
                self._record({"ok": False, "title": title, "error": error})
                delta = ProgressDelta(failed=1, title=title)
            case Say(user_message=text):
                delta = ProgressDelta(user_message=text)
            case Complete(summary=summary):
                return worker_transitions.complete(state, attempt, summary, POLICY, now=now)
            case Fail(code=code):
                return worker_transitions.fail(state, attempt, error_of(ShelfwireError(code)), POLICY, now=now)
            case _:
                raise AssertionError("a cut happens to a connection, not to a job")
        return worker_transitions.advance(state, attempt, delta, POLICY, now=now)

    def _record(self, item: dict[str, Any]) -> None:
        self.items.append({"index": len(self.items), **item})


class Listener:
    """A connection that follows a job: its messages, in order."""

    def __init__(self, job: FakeJob, after: int = 0) -> None:
        self.job = job
        self.feed = Feed(after)
        self._due: deque[Message] = deque()

    @property
    def next_seq(self) -> int | None:
        """The `seq` of the next message, if one is due already."""
        return self._due[0].seq if self._due else None

    def add(self, *messages: Message) -> None:
        """Send other messages on the connection."""
        self._due.extend(messages)

    async def receive(self) -> Message | None:
        """Return the next message, or None after the ending."""
        while not self._due:
            if self.feed.over:
                return None
            self.add(*self.job.messages(self.feed.next(self.job.state)))
            if not self._due:
                await self.job.next()
        return self._due.popleft()
