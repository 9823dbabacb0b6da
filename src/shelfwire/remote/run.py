"""Runs the pipeline of one claimed attempt, and reports how it ends."""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from shelfwire.client.errors import RefusedError
from shelfwire.client.reporting.attempt import Attempt, AttemptLostError, Retries
from shelfwire.client.reporting.heartbeat import HeartbeatThread, keep_alive
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.job import RUNNING_JOB, Job
from shelfwire.jobs.pipeline import OPTIONS, Pipeline
from shelfwire.jobs.results import inline_results
from shelfwire.jobs.store import Claimed
from shelfwire.protocol.feed import terminal_summary
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import clip
from shelfwire.protocol.reports import RESERVED_CODES
from shelfwire.remote.committer import RemoteCommitter
from shelfwire.remote.store import RemoteStore

INLINE_BYTES: Final = 768 * 1024
"""The most bytes of results in an ending, unless the operator of the server has set another number."""
HEAD_ITEMS: Final = 10_000
"""The most items whose results are folded: more than fit into an ending."""

log = structlog.get_logger(__name__)


class AttemptRun:
    """One attempt, from its claim to its end.

    Args:
        pipeline: does the job.
        retries: sends requests.
        attempt: the attempt.
        heartbeat: renews its lease; None to do it on this event loop.
    """

    def __init__(
        self, pipeline: Pipeline, retries: Retries, attempt: Attempt, heartbeat: HeartbeatThread | None
    ) -> None:
        self._pipeline = pipeline
        self._retries = retries
        self._attempt = attempt
        self._heartbeat = heartbeat
        self._claimed = claimed_of(attempt, retries.clock.now())
        self.draft = Draft(self._claimed.state)
        self._store = RemoteStore(retries, attempt)
        self._committer = RemoteCommitter(retries, attempt, self.draft)
        self._log = log.bind(job=attempt.id, pipeline=pipeline.name, attempt=attempt.attempt)

    async def run(self) -> None:
        """Run the pipeline to its end, or until the attempt is stopped or lost, and report that."""
        structlog.contextvars.bind_contextvars(job=self._attempt.id, attempt=self._attempt.attempt)
        self._log.info("job claimed", recorded=len(self._claimed.recorded))
        beating = None
        if self._heartbeat is not None:
            self._heartbeat.add(self._attempt, self._committer)
        else:
            beating = asyncio.create_task(
                keep_alive(self._retries.http, self._retries.clock, self._attempt, self._committer)
            )
        try:
            await self._work()
        except AttemptLostError as error:
            self._log.warning("job lost", reason=str(error))
        except RefusedError as error:
            self._log.error("the server refuses the attempt's report", code=error.code, reason=error.message)
        finally:
            if self._heartbeat is not None:
                self._heartbeat.remove(self._attempt)
            if beating is not None:
                beating.cancel()

    async def _work(self) -> None:
        sending = asyncio.create_task(self._committer.delivery.run())
        running = asyncio.create_task(self._run_pipeline())
        self.draft.stop = running.cancel
        try:
            await asyncio.wait({running, sending}, return_when=asyncio.FIRST_COMPLETED)
            if self.draft.lost:
                raise AttemptLostError("another worker has it, or it has ended")
            end = await self._flushed_end(running, sending)
        finally:
            for task in (running, sending):
                task.cancel()
            await asyncio.gather(running, sending, return_exceptions=True)
        await self._report_end(end)

    async def _flushed_end(
        self, running: "asyncio.Task[str]", sending: "asyncio.Task[Any]"
    ) -> Mapping[str, Mapping[str, Any]]:
        """How the attempt ends, once everything that it has recorded is durable."""
        flushing = asyncio.create_task(self._committer.flush())
        try:
            await asyncio.wait({flushing, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            flushing.cancel()
        if sending.done():
            error = sending.exception()
            if not isinstance(error, RefusedError):
                raise error or AssertionError("reports go on until they are stopped")
            return _retry(error)
        return await self._end(running)

    async def _run_pipeline(self) -> str:
        RUNNING_JOB.set(self._attempt.id)
        options = await self._options()
        job = Job(self._store, self._committer, self.draft, self._claimed, options, self._retries.clock)
        return await self._pipeline.run(job)

    async def _options(self) -> Any:
        """The options that the job was made with: form fields, each an input; the server could not check them.

        Raises:
            ShelfwireError: they cannot be used.
        """
        kind = self._pipeline.options
        names = {field.encode_name for field in msgspec.structs.fields(kind)}
        sent = [one.name for one in self._attempt.inputs if one.name in names | {OPTIONS}]
        inputs = {name: await self._store.read_input(self._attempt.id, name) for name in sent}
        try:
            stored = msgspec.json.decode(inputs.pop(OPTIONS, b"{}"), type=dict[str, Any])
            texts = {name: data.decode() for name, data in inputs.items()}
            options = msgspec.convert({**stored, **texts}, kind, strict=False)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise ShelfwireError(Code.INVALID_REQUEST, f"An option cannot be used: {error}") from None
        self._pipeline.check_options(options)
        return options

    async def _end(self, running: "asyncio.Task[str]") -> Mapping[str, Mapping[str, Any]]:
        if running.cancelled() and self.draft.halted:
            return {"release": {}}
        error = RuntimeError("the pipeline cancelled itself") if running.cancelled() else running.exception()
        if isinstance(error, AttemptLostError):
            raise error
        if error is None:
            return {"complete": await self._completion(running.result())}
        if isinstance(error, ShelfwireError) and not error.retryable and error.code not in RESERVED_CODES:
            details = {} if error.details is None else {"details": error.details}
            return {"fail": {**error.to_result(), **details}}
        # Formatted here: the log of a host application may show the values of all local variables.
        self._log.error("attempt failed", exception="".join(traceback.format_exception(error)))
        return _retry(error)

    async def _completion(self, summary: str) -> Mapping[str, Any]:
        """The end of a job that is done, with the results as its pipeline folds them, where it has a way of its own."""
        summary = clip(str(summary))
        pipeline = self._pipeline
        if type(pipeline).fold is Pipeline.fold and pipeline.results_name == Pipeline.results_name:
            return {"summary": summary}
        head = await self._store.items(self._attempt.id, after=-1, limit=HEAD_ITEMS)
        for limit in (INLINE_BYTES, INLINE_BYTES * 9 // 10, INLINE_BYTES // 2):
            results, truncated = inline_results(pipeline.fold, self.draft.state, head, limit)
            encoded = msgspec.json.encode(results)
            if len(encoded) <= INLINE_BYTES:
                told = terminal_summary(summary, truncated=truncated) or ""
                return {"summary": told, "results": msgspec.Raw(encoded)}
        return {"summary": summary}

    async def _report_end(self, end: Mapping[str, Mapping[str, Any]]) -> None:
        """Report the end; if the server refuses it, without the results; if it does again, that the attempt broke off.

        A refused report changes nothing, and leaves its number free.
        """
        delivery = self._committer.delivery
        try:
            answer = await delivery.send({"end": end})
        except RefusedError as error:
            self._log.warning("the server refuses how the attempt ends", code=error.code, reason=error.message)
            plain = (
                {"complete": {"summary": end["complete"]["summary"]}} if "results" in end.get("complete", {}) else None
            )
            answer = await delivery.send({"end": plain or _retry(error)})
        self._log.info("attempt over", status=answer.status)


def _retry(error: BaseException) -> Mapping[str, Mapping[str, Any]]:
    return {"retry": {"message": clip("".join(traceback.format_exception_only(error)).strip())}}


def claimed_of(attempt: Attempt, now: int) -> Claimed:
    """Return a claim over HTTP as a claim of a store.

    Args:
        attempt: the claim; it has a state.
        now: milliseconds since the epoch.
    """
    state = attempt.state
    assert state is not None  # noqa: S101 - every claim has one
    selection = None if attempt.selection is None else _expanded(attempt.selection)
    recorded = _expanded(attempt.recorded)
    if selection is not None:
        places = {source: place for place, source in enumerate(selection)}
        recorded = [places[source] for source in recorded]
    row = JobState(
        id=state.job_id,
        pipeline=state.pipeline,
        status=Status.RUNNING,
        seq=state.seq,
        created_at=now,
        updated_at=state.last_update_time,
        expires_at=state.expires_at,
        run_at=now,
        lease_until=0,
        attempt=attempt.attempt,
        remote=True,
        started_at=state.start_time,
        total=state.total_count if state.start_time is not None else None,
        succeeded=state.success_count,
        failed=state.failure_count,
        reported=state.processed_count,
        title=state.current_title,
        metadata=state.metadata,
        retry_of=state.retry_of,
    )
    return Claimed(state=row, recorded=recorded, selection=selection)


def _expanded(ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [index for first, last in ranges for index in range(first, last + 1)]
