"""Commit, then publish: one transaction a tick writes the changes of all jobs; only then are followers notified."""

import asyncio
import math
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from shelfwire.clock import Clock, sleep
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.patience import RETRY_SECONDS
from shelfwire.jobs.store import Change, Committed, JobStore
from shelfwire.jobs.takeover import TakeoverRule
from shelfwire.jobs.telemetry import NoTelemetry, Telemetry
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Policy, Transition

MAX_JOBS: Final = 64
"""The most jobs that share a commit, which all their followers wait for; the others' commit follows at once. With
200 in one commit half of the messages came twice as late."""
MAX_ENDINGS: Final = 16
"""The most of them that may end in one commit: each ending reads the head of its log."""

log = structlog.get_logger(__name__)


class Committer:
    """Writes the drafts in one transaction a tick, or in several in a row where many jobs run.

    Ticks lie on a grid: one that begins late does not push the next ones back, or of a job that moves once an interval
    every second update would be merged into the next. A fifth of the time is left to others.

    Followers are notified at once of what changes a job's status, and of progress once an interval: commits may follow
    one another much faster, as where another job starts or ends.

    Args:
        store: where they are written.
        publish: receives the new rows after each commit, and the monotonic time at which they are published.
        policy: passed to the store.
        clock: source of the time.
        interval: seconds from one commit to the next, and from one notification of a job's progress to the next; the
            first change after a quiet time is committed at once, and so are the start and the end of a job.
        telemetry: is notified of commits and of the items in them.

    Attributes:
        takeover: when leases of jobs may be taken to have ended; commits that fail or take long count against it.
        commits: number of transactions so far.
        failing: whether the last commit failed and is tried again.
    """

    def __init__(
        self,
        store: JobStore,
        publish: Callable[[Iterable[Committed], float], None],
        policy: Policy,
        clock: Clock,
        interval: float,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store = store
        self.takeover = TakeoverRule(policy, clock, store.nodes)
        self._publish = publish
        self._policy = policy
        self._clock = clock
        self._interval = interval
        self._telemetry = telemetry or NoTelemetry()
        self._dirty: dict[Draft, None] = {}
        self._withheld: dict[Draft, Committed] = {}
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._sooner = asyncio.Event()
        self._on_tick = False
        self.failing = False
        self.commits = 0

    def mark(self, draft: Draft, *, urgent: bool = False) -> None:
        """Schedule a changed draft for the next commit; `urgent` does not wait for the tick."""
        self._dirty[draft] = None
        self._news.set()
        if urgent:
            self._urgent.set()

    async def finish(self, draft: Draft, closing: Transition) -> JobState | None:
        """Commit the attempt's ending with everything before it; return the final row, or None if the job was lost."""
        draft.closing = closing
        self.mark(draft, urgent=True)
        await draft.finished.wait()
        return None if draft.lost else draft.state

    async def run(self) -> None:
        """Commit until cancelled. While the store cannot be written, commits are retried and nothing is published."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_withheld())
            await self._commit_on_ticks()

    async def _commit_on_ticks(self) -> None:
        now, interval = self._clock.monotonic, self._interval
        tick, free = now() - interval, now()
        while True:
            await self._news.wait()
            due = max(tick + interval, free)
            if now() < due:
                await self._clock.wait(self._urgent, due - now())
            began = now()
            self._on_tick = began >= due
            tick = due if due <= began < due + interval else began
            failed = await self._commit_round()
            free = now() + (now() - began) / 4 if interval else began
            if failed:
                await sleep(self._clock, RETRY_SECONDS)

    async def _commit_round(self) -> bool:
        """Commit all that is due now; return whether the store could not be written."""
        for _ in range(max(1, math.ceil(len(self._dirty) / MAX_JOBS))):
            if await self._try_commit():
                return True
        return False

    async def _publish_withheld(self) -> None:
        """Publish what was withheld as it comes due, whatever is being committed meanwhile."""
        while True:
            self._sooner.clear()
            if self._withheld:
                await self._clock.wait(self._sooner, max(0.0, self._next_due() - self._clock.monotonic()))
            else:
                await self._sooner.wait()
            self._publish_due(())

    def _next_due(self) -> float:
        """When rows that are withheld are published next: with the first those that are due soon after it.

        They are in step from then on. One by one each would take a timer and a turn of the event loop every time.
        """
        due = [draft.due_at for draft in self._withheld]
        soon = min(due) + self._interval / 10
        return max([at for at in due if at <= soon])

    def _due_at(self, draft: Draft) -> float:
        """When a row that was committed now is published, unless a newer one takes its place before.

        Where that would be long after its tick, as once a commit took long, it waits for the next one: otherwise all
        that follows would come as late.
        """
        due = draft.published_at + self._interval
        is_late = self._on_tick and due - self._clock.monotonic() > self._interval / 2
        return due + self._interval / 2 if is_late else due

    def _next(self) -> list[Draft]:
        """Take the drafts of the next commit; what is left over is committed in the same round, or in the next."""
        drafts: list[Draft] = []
        endings = 0
        for draft in [draft for draft in self._dirty if not draft.finished.is_set()]:
            if len(drafts) < MAX_JOBS and (draft.closing is None or endings < MAX_ENDINGS):
                endings += draft.closing is not None
                drafts.append(draft)
        taken = set(drafts)
        self._dirty = {draft: None for draft in self._dirty if draft not in taken and not draft.finished.is_set()}
        if self._dirty:
            self._news.set()
        if any(draft.closing is not None for draft in self._dirty):
            self._urgent.set()
        return drafts

    async def _try_commit(self) -> bool:
        try:
            await self.commit()
        except ShelfwireError as error:
            # Only the first is an error, which quiet terminals show too; the others repeat it.
            report = log.warning if self.failing else log.error
            report("commit failed, trying again", code=error.code, reason=error.message)
            self.failing = True
            return True
        if self.failing:
            self.failing = False
            log.warning("commits succeed again")
        return False

    async def commit(self) -> None:
        """Write the drafts in one transaction, then publish the new rows.

        Raises:
            ShelfwireError: the store could not be written; the next commit repeats what this one was about.
        """
        self._news.clear()
        self._urgent.clear()
        drafts = self._next()
        if not drafts:
            return
        now = self._clock.monotonic()
        await self._write([(draft, draft.take(now)) for draft in drafts])

    async def _write(self, taken: Sequence[tuple[Draft, Change]]) -> None:
        began = self._clock.monotonic()
        try:
            changes = [change for _, change in taken]
            answers = await self._store.commit(changes, self._policy, self._clock.now(), self._clock.steady())
        except Exception as error:
            if passing := _passing(error):
                self.takeover.disturbed()
                self._put_back(taken)
                raise passing from error
            if len(taken) > 1:
                await self._write_apart(taken)
            else:
                await self._give_up(*taken[0], error)
            return
        except BaseException:
            self._put_back(taken)
            raise
        self.commits += 1
        took = self._clock.monotonic() - began
        self.takeover.took(took)
        self._telemetry.committed(took)
        self._settle(taken, answers)

    def _settle(self, taken: Sequence[tuple[Draft, Change]], answers: Sequence[Committed | None]) -> None:
        urgent: list[Draft] = []
        succeeded, failed = Counter[str](), Counter[str]()
        for (draft, change), answer in zip(taken, answers, strict=True):
            if answer is None:
                self._withheld.pop(draft, None)
            else:
                succeeded[answer.state.pipeline] += change.delta.succeeded
                failed[answer.state.pipeline] += change.delta.failed
                if answer.state.seq != draft.state.seq:
                    self._withheld[draft] = answer
                    draft.due_at = self._due_at(draft)
                if _is_urgent(draft.state, answer.state):
                    urgent.append(draft)
            repeated = draft.repeat is not None
            draft.confirm(change, answer)
            if repeated:
                self.mark(draft, urgent=True)  # with what it has recorded since
        for pipeline, count in succeeded.items():
            self._telemetry.recorded(pipeline, count, failed[pipeline])
        self._publish_due(urgent)

    async def _give_up(self, draft: Draft, change: Change, error: Exception) -> None:
        """End an attempt that has something which cannot be stored: a bug, of a pipeline or ours.

        It counts as an error of the job. If not even that can be stored, the job is tried again when its lease expires.
        """
        # Formatted here: the log of a host application may show the values of all local variables.
        trace = "".join(traceback.format_exception(error))
        if draft.given_up:
            log.error("the failure of an attempt cannot be committed", job=change.job_id, exception=trace)
            self._settle([(draft, change)], [None])
            return
        log.error("a job cannot be committed; its attempt is given up", job=change.job_id, exception=trace)
        reason = str(error) if isinstance(error, ShelfwireError) else f"{Code.INTERNAL}: {type(error).__name__}"
        delay = worker_transitions.backoff(draft.state.error_count, 0)
        failure = draft.give_up(
            change,
            lambda state, now: worker_transitions.retry_later(
                state, change.attempt, reason, delay, self._policy, now=now, steady=self._clock.steady()
            ),
        )
        await self._write([(draft, failure)])

    def _publish_due(self, urgent: Iterable[Draft]) -> None:
        """Publish the newest rows of some drafts, and of all whose followers have not been notified for an interval."""
        now = self._clock.monotonic()
        due = dict.fromkeys(urgent)
        due.update(dict.fromkeys(draft for draft in self._withheld if now >= draft.due_at))
        for draft in due:
            draft.published_at = now
        self._publish([self._withheld.pop(draft) for draft in due if draft in self._withheld], now)
        if self._withheld:
            self._sooner.set()

    async def _write_apart(self, taken: Sequence[tuple[Draft, Change]]) -> None:
        """Write each change alone, so that the one which breaks the shared commit fails alone."""
        failure = None
        for pair in taken:
            try:
                await self._write([pair])
            except ShelfwireError as error:
                failure = error
        if failure is not None:
            raise failure

    def _put_back(self, taken: Sequence[tuple[Draft, Change]]) -> None:
        for draft, change in taken:
            draft.repeat = change
            self.mark(draft)


def _is_urgent(before: JobState, after: JobState) -> bool:
    """Whether followers are to be notified at once: of a start, of a stop that was asked for, and of an ending."""
    started = before.started_at is None and after.started_at is not None
    return started or before.status is not after.status or before.pausing != after.pausing


def _passing(error: Exception) -> ShelfwireError | None:
    """Return what to report of an error that heals by itself; None for one that would come again."""
    if isinstance(error, OSError):  # of a connection, or a time-out, that the store has not foreseen
        return ShelfwireError(Code.STORAGE_UNAVAILABLE, f"The store cannot be used: {type(error).__name__}")
    if isinstance(error, ShelfwireError) and error.code == Code.STORAGE_UNAVAILABLE:
        return error
    return None
