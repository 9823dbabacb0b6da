"""A job that exists only in memory, and goes on as a script says whenever somebody waits for it."""

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
"""So much later is each step of a script."""
POLICY: Final = Policy(lease=10**12)


class Start(msgspec.Struct, frozen=True):
    """The job learns how many items it has."""

    total: int
    metadata: Metadata | None = None


class Record(msgspec.Struct, frozen=True):
    """An item is done, or has failed where `error` is its code."""

    title: str
    result: Any = None
    error: str | None = None


class Say(msgspec.Struct, frozen=True):
    """The job tells a person something."""

    user_message: str


class Complete(msgspec.Struct, frozen=True):
    """The good ending."""

    summary: str = ""


class Fail(msgspec.Struct, frozen=True):
    """The job as a whole fails."""

    code: str = Code.INTERNAL


class Cut(msgspec.Struct, frozen=True):
    """The connection of whoever waits now is cut."""


Step = Start | Record | Say | Complete | Fail | Cut


class FakeJob:
    """One job.

    Args:
        job_id: its id.
        pipeline: its pipeline.
        script: what happens, step by step.
        now: milliseconds since the epoch.
        results_name: what the list of done items is called in the inline results.

    Attributes:
        state: where it stands.
        items: what is recorded, as a page of results shows it.
        tokens: what lets in.
    """

    def __init__(
        self, job_id: str, pipeline: str, script: Iterable[Step], now: int, *, results_name: str = "items"
    ) -> None:
        self.state = jobs.create(job_id, pipeline, now=now)
        self.items: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self._script = deque(script)
        self._results_name = results_name
        self._now = now
        self._news = asyncio.Event()

    @property
    def script(self) -> tuple[Step, ...]:
        """What has not happened yet."""
        return tuple(self._script)

    def go_on(self, *steps: Step) -> None:
        """Add to the script, and wake who waits."""
        self._script.extend(steps)
        self._wake()

    def change(self, state: JobState) -> None:
        """Put the job into another state, and wake who waits."""
        self.state = state
        self._wake()

    def later(self) -> int:
        """The time of the next thing that happens."""
        self._now += STEP_MS
        return self._now

    async def next(self) -> None:
        """Let the next thing happen; wait for somebody to cause it if the script has no more.

        Raises:
            CutError: the script says so.
        """
        state = self.state
        await yield_to_loop()  # who heard of the last thing may act on it first
        if self.state is not state:
            return
        now = self.later()
        if state.pausing or state.status is Status.CANCELING:
            self.change(worker_transitions.release(state, state.attempt, POLICY, now=now))
        elif state.ended or state.status is Status.PAUSED or not self._script:
            self._news.clear()
            await self._news.wait()
        elif isinstance(self._script[0], Cut):
            self._script.popleft()
            raise CutError("The script cut the connection")
        elif state.status is Status.QUEUED:
            self.change(worker_transitions.claim(state, POLICY, now=now))
        else:
            self.change(self._play(self._script.popleft(), now))

    def messages(self, due: tuple[Due, ...]) -> list[Message]:
        """What a follower is told."""
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
                return worker_transitions.advance(
                    state, attempt, ProgressDelta(total=total, metadata=metadata), POLICY, now=now
                )
            case Record(title=title, error=None, result=result):
                self._record({"ok": True, "title": title, "result": {"title": title} if result is None else result})
                return worker_transitions.advance(
                    state, attempt, ProgressDelta(succeeded=1, title=title), POLICY, now=now
                )
            case Record(title=title, error=str(code)):
                error = msgspec.to_builtins(error_of(ShelfwireError(code)))
                self._record({"ok": False, "title": title, "error": error})
                return worker_transitions.advance(state, attempt, ProgressDelta(failed=1, title=title), POLICY, now=now)
            case Say(user_message=text):
                return worker_transitions.advance(state, attempt, ProgressDelta(user_message=text), POLICY, now=now)
            case Complete(summary=summary):
                return worker_transitions.complete(state, attempt, summary, POLICY, now=now)
            case Fail(code=code):
                return worker_transitions.fail(state, attempt, error_of(ShelfwireError(code)), POLICY, now=now)
            case _:
                raise AssertionError("a cut happens to a connection, not to a job")

    def _record(self, item: dict[str, Any]) -> None:
        self.items.append({"index": len(self.items), **item})

    def _wake(self) -> None:
        self._news.set()


class Listener:
    """A connection that hears of a job: what is due on it, in order."""

    def __init__(self, job: FakeJob, after: int = 0) -> None:
        self.job = job
        self.feed = Feed(after)
        self._due: deque[Message] = deque()

    @property
    def next_seq(self) -> int | None:
        """The `seq` of what comes next, where that is known already."""
        return self._due[0].seq if self._due else None

    def add(self, *messages: Message) -> None:
        """Let it hear something besides."""
        self._due.extend(messages)

    async def hear(self) -> Message | None:
        """Return the next message, or None after the ending."""
        while not self._due:
            if self.feed.over:
                return None
            self.add(*self.job.messages(self.feed.next(self.job.state)))
            if not self._due:
                await self.job.next()
        return self._due.popleft()
