"""Work that is reported to a server in memory: what its jobs make of claims and reports."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shelfwire.client.testing.fake_job import POLICY, FakeJob
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.reports import End, Report, ReportAnswer, ReportedItem, decode_report, ranges
from shelfwire.protocol.worker_transitions import ProgressDelta, RemoteWorker

PER_CENT = 100


class Claim(msgspec.Struct, frozen=True, rename="camel"):
    """What a worker asks for, as far as a server in memory goes by it."""

    pipeline: str = ""
    pipelines: tuple[str, ...] = ()
    job_id: str | None = None
    total_count: int | None = None
    lease_seconds: int = 10


def read_claim(content: bytes | None) -> Claim:
    """Read the body of a request for work."""
    return msgspec.json.decode(content or b"", type=Claim)


def claim(job: FakeJob, token: str, wanted: Claim) -> Mapping[str, Any] | None:
    """Let a worker hold a job that waits for one; None if another holds it.

    Raises:
        ShelfwireError: `E_JOB_STATE`: it has ended or is paused.
    """
    state = job.state
    if state.ended or state.status is Status.PAUSED:
        raise ShelfwireError(Code.JOB_STATE, f"Job {state.id} is {state.status}", details={"status": state.status})
    if state.status is not Status.QUEUED or job.script:
        return None
    # In memory no time passes until the next try.
    state = msgspec.structs.replace(state, lease_until=0)
    now = job.later()
    state = worker_transitions.claim(state, POLICY, now=now, remote=RemoteWorker(lease=POLICY.lease))
    if wanted.total_count is not None:
        delta = ProgressDelta(total=wanted.total_count)
        state = worker_transitions.advance(state, state.attempt, delta, POLICY, now=now)
    job.report_token = token
    job.change(state)
    return {
        "reportToken": token,
        "attempt": state.attempt,
        "leaseSeconds": wanted.lease_seconds,
        "recorded": ranges(item["index"] for item in job.items),
        "selection": None,
        "inputs": [],
    }


def report(job: FakeJob, token: str, content: bytes | None) -> ReportAnswer:
    """Take a report.

    Raises:
        ShelfwireError: as a server does.
    """
    given = decode_report(content or b"{}")
    if token == job.report_token and given.has_content and given.number == job.state.number + 1:
        job.change(_applied(job, given))
    elif token != job.report_token and given.number != job.state.number:
        raise ShelfwireError(Code.LEASE_LOST)
    state = job.state
    return ReportAnswer(
        seq=state.seq,
        status=state.status,
        number=state.number,
        stop="cancel" if state.status is Status.CANCELING else "pause" if state.pausing else None,
        lease_until=0,
    )


def _applied(job: FakeJob, given: Report) -> JobState:
    known = {item["index"] for item in job.items}
    fresh = [item for item in given.items if item.index not in known]
    job.items = sorted([*job.items, *map(_as_result, fresh)], key=lambda item: int(item["index"]))
    total = given.total_count
    if total is None and job.state.total is None and given.fraction is not None:
        total = PER_CENT
    reported = given.processed_count or int((given.fraction or 0) * (total or job.state.total or 0))
    done = sum(item.ok for item in fresh)
    delta = ProgressDelta(
        total=total,
        metadata=given.metadata,
        succeeded=done,
        failed=len(fresh) - done,
        reported=reported,
        title=given.items[-1].title if fresh else given.current_title,
        user_message=given.user_message,
        shown=given.current_title is not None,
    )
    attempt, now = job.state.attempt, job.later()
    state = worker_transitions.advance(job.state, attempt, delta, POLICY, now=now)
    state = msgspec.structs.replace(state, number=given.number)
    if given.end is None:
        return state
    job.report_token = None
    return _ended(state, given.end, now)


def _ended(state: JobState, end: End, now: int) -> JobState:
    attempt = state.attempt
    if end.complete is not None:
        return worker_transitions.complete(state, attempt, end.complete.summary, POLICY, now=now)
    if end.fail is not None:
        return worker_transitions.fail(state, attempt, end.fail.to_error(), POLICY, now=now)
    if end.retry is not None:
        return worker_transitions.retry_later(state, attempt, end.retry.message, 0, POLICY, now=now)
    return worker_transitions.release(state, attempt, POLICY, now=now)


def _as_result(item: ReportedItem) -> dict[str, Any]:
    """An item as on a page of results."""
    if item.error is not None and not item.ok:
        outcome: dict[str, Any] = {"error": item.error.to_result()}
    else:
        assert isinstance(item.result, msgspec.Raw)  # noqa: S101 - the report was checked
        outcome = {"result": msgspec.json.decode(item.result)}
    return {"index": item.index, "ok": item.ok, "title": item.title, **outcome}
