"""The messages that a job's state stands for, so that a client which polls tells the same story as one on a socket.

Source: section 4 of the wire contract. The counterpart of `feed.py`, from the state document instead of the row.
"""

from typing import Any

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.feed import told_summary
from shelfwire.protocol.job import ENDED, Status
from shelfwire.protocol.messages import (
    Count,
    CurrentItem,
    JobComplete,
    JobError,
    JobProgress,
    JobStarted,
    Message,
    Metadata,
    Millis,
    Seconds,
    UndecodableError,
    error_of,
)


class StateDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `GET /api/jobs/{jobId}` answers, as far as messages are made of it.

    Read as tolerantly as messages are: fields and states of later versions do no harm. What the server writes is the
    stricter `web.shapes.State`.
    """

    job_id: str
    pipeline: str
    status: str
    total_count: Count
    processed_count: Count
    success_count: Count
    failure_count: Count
    last_update_time: Millis
    seq: Count
    start_time: Millis | None = None
    current_title: str | None = None
    current_item: CurrentItem | None = None
    user_message: str | None = None
    eta_seconds: Seconds | None = None
    metadata: Metadata | None = None
    error: JobError | None = None
    results: Any = None
    duration: Seconds | None = None
    summary: str | None = None
    results_url: str | None = None
    truncated: bool | None = None


def read_state(document: object) -> StateDocument:
    """Check a decoded state document.

    Raises:
        UndecodableError: it is not one of the contract.
    """
    try:
        return msgspec.convert(document, StateDocument)
    except msgspec.ValidationError as error:
        raise UndecodableError(str(error)) from error


def messages_of(state: StateDocument, after: int = 0) -> tuple[Message, ...]:
    """What a follower who was told everything up to `after` is told of `state`, in order."""
    news: list[JobStarted | JobProgress | JobComplete | JobError] = []
    if state.seq > after:
        if state.start_time is not None:
            news.append(JobStarted(total_count=state.total_count, metadata=state.metadata))
        if state.processed_count or state.user_message:
            news.append(_progress(state))
    if state.status in ENDED:
        news.append(_ending(state))
    return tuple(
        Message(
            job_id=state.job_id,
            pipeline=state.pipeline,
            timestamp=state.last_update_time,
            payload=payload,
            seq=state.seq,
        )
        for payload in news
    )


def _progress(state: StateDocument) -> JobProgress:
    return JobProgress(
        processed_count=state.processed_count,
        total_count=None if state.start_time is None else state.total_count,
        failure_count=state.failure_count,
        current_title=state.current_title,
        current_item=state.current_item,
        user_message=state.user_message,
        state=state.status,
        eta_seconds=state.eta_seconds,
    )


def _ending(state: StateDocument) -> JobComplete | JobError:
    if state.status != Status.COMPLETE:
        return state.error or error_of(ShelfwireError(Code.INTERNAL, f"The job is {state.status}, for no given reason"))
    return JobComplete(
        success_count=state.success_count,
        failure_count=state.failure_count,
        duration=state.duration or 0,
        results=state.results,
        summary=told_summary(state.summary, truncated=bool(state.truncated)),
        results_url=state.results_url,
        truncated=state.truncated,
    )
