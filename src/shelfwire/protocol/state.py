"""The state document of a job: made from its row by a server, and turned into messages by a client that polls.

So a client that polls shows the same messages as one on a socket. Reading is as tolerant as with messages: members and
statuses of later versions do no harm. Source: section 4 of the wire contract.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.feed import current_item, terminal_summary
from shelfwire.protocol.job import ENDED, JobState, Status
from shelfwire.protocol.messages import (
    Address,
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
    Uuid,
    WireStruct,
    error_of,
)


class Links(WireStruct, frozen=True, kw_only=True):
    """The routes of a job, as paths with all that comes before them on their host."""

    self: Annotated[Address, Meta(description="Its state; DELETE erases the job.")]
    results: Annotated[Address, Meta(description="Its results, item by item.")]
    events: Annotated[Address, Meta(description="Its progress, as server-sent events.")]
    progress: Annotated[Address, Meta(description="Its progress, over a WebSocket.")]
    cancel: Annotated[Address, Meta(description="POST cancels it.")]
    pause: Annotated[Address, Meta(description="POST pauses it.")]
    resume: Annotated[Address, Meta(description="POST resumes it.")]
    retry: Annotated[Address, Meta(description="POST creates a new job over its failed and unrecorded items.")]
    token: Annotated[Address, Meta(description="POST issues another token, DELETE revokes the one it is called with.")]
    log: Annotated[
        Address | None, Meta(description="Its items so far, for its worker elsewhere, with the report token.")
    ] = None


class State(WireStruct, frozen=True, kw_only=True):
    """The state of a job. With `lastUpdateTime` as their timestamp, its messages can be made of it exactly."""

    job_id: Annotated[Uuid, Meta(description="The job.")]
    pipeline: Annotated[str, Meta(description="The pipeline that runs it.")]
    status: Annotated[str, Meta(description="Its status.", extra_json_schema={"enum": sorted(Status)})]
    total_count: Annotated[Count, Meta(description="Items in the input; 0 until it is known.")]
    processed_count: Annotated[Count, Meta(description="Items recorded, done or failed.")]
    success_count: Annotated[Count, Meta(description="Items that were done.")]
    failure_count: Annotated[Count, Meta(description="Items that failed.")]
    last_update_time: Annotated[Millis, Meta(description="When it last changed, in milliseconds since the epoch.")]
    seq: Annotated[Count, Meta(description="Its revision.")]
    attempt: Annotated[Count, Meta(description="Number of times a worker has claimed it.")]
    expires_at: Annotated[
        Millis, Meta(description="When it is erased unless it makes progress, in milliseconds since the epoch.")
    ]
    links: Annotated[Links, Meta(description="Its routes.")]
    current_title: Annotated[str | None, Meta(description="Title of the item recorded last.")] = None
    current_item: Annotated[CurrentItem | None, Meta(description="More about the item recorded last.")] = None
    user_message: Annotated[str | None, Meta(description="A message for the user, beside the counts.")] = None
    queue_position: Annotated[
        Count | None, Meta(description="While it waits, the number of jobs before it; 1000 for more.")
    ] = None
    pausing: Annotated[bool | None, Meta(description="True while a requested pause is not confirmed yet.")] = None
    stalled: Annotated[bool | None, Meta(description="True while it runs and has recorded nothing for long.")] = None
    eta_seconds: Annotated[Seconds | None, Meta(description="Seconds that are left, from the measured rate.")] = None
    start_time: Annotated[
        Millis | None, Meta(description="When the number of items was known, in milliseconds since the epoch.")
    ] = None
    metadata: Annotated[Metadata | None, Meta(description="What it works on.")] = None
    retry_of: Annotated[Uuid | None, Meta(description="The job whose failed and unrecorded items it retries.")] = None
    summary: Annotated[str | None, Meta(description="A sentence for the user about the outcome.")] = None
    duration: Annotated[Seconds | None, Meta(description="Seconds from the start to the end, once it has ended.")] = (
        None
    )
    error: Annotated[JobError | None, Meta(description="Why it failed or was canceled.")] = None
    results: Annotated[
        msgspec.Raw | msgspec.UnsetType, Meta(description="What the pipeline made of the items, once it is complete.")
    ] = msgspec.UNSET
    results_url: Annotated[Address | None, Meta(description="Where all results are, if not all are here.")] = None
    truncated: Annotated[bool | None, Meta(description="True if `results` holds only the first of them.")] = None


class _Inline(WireStruct, frozen=True, kw_only=True):
    results: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    results_url: str | None = None
    truncated: bool | None = None


class _Terminal(msgspec.Struct, frozen=True):
    payload: _Inline


_decode_terminal: Final = msgspec.json.Decoder(_Terminal).decode


def results_path(job_id: str, root: str = "") -> str:
    """The path of a job's results; see `links_of`."""
    return f"{root}/api/jobs/{job_id}/results"


def links_of(job_id: str, root: str = "") -> Links:
    """The paths of a job's routes.

    Args:
        job_id: the job.
        root: what comes before the server's own paths in its URLs, encoded.
    """
    job = f"{root}/api/jobs/{job_id}"
    return Links(
        self=job,
        results=results_path(job_id, root),
        events=f"{job}/events",
        progress=f"{root}/ws/progress?jobId={job_id}",
        cancel=f"{job}/cancel",
        pause=f"{job}/pause",
        resume=f"{job}/resume",
        retry=f"{job}/retry",
        token=f"{job}/token",
        log=f"{job}/log",
    )


def state_of(row: JobState, terminal: str | None, root: str = "", *, queue_position: int | None = None) -> State:
    """Make the state document of a job.

    Args:
        row: its row.
        terminal: its terminal message, once it has ended. The results in it, up to a megabyte, are passed on undecoded.
        root: see `links_of`.
        queue_position: the number of jobs before it, where that is known.
    """
    inline = _Inline() if terminal is None else _decode_terminal(terminal).payload
    return State(
        job_id=row.id,
        pipeline=row.pipeline,
        status=row.status,
        total_count=row.total or 0,
        processed_count=row.processed,
        success_count=row.succeeded,
        failure_count=row.failed,
        last_update_time=row.updated_at,
        seq=row.seq,
        attempt=row.attempt,
        expires_at=row.expires_at,
        links=links_of(row.id, root),
        current_title=row.title,
        current_item=current_item(row),
        user_message=row.user_message,
        queue_position=queue_position,
        pausing=row.pausing or None,
        stalled=row.stalled or None,
        eta_seconds=row.eta_seconds,
        start_time=row.started_at,
        metadata=row.metadata,
        retry_of=row.retry_of,
        summary=row.summary,
        duration=row.duration if row.ended else None,
        error=row.error,
        results=inline.results,
        results_url=None if inline.results_url is None else results_path(row.id, root),
        truncated=inline.truncated,
    )


def messages_of(state: State, after: int = 0) -> tuple[Message, ...]:
    """The messages that are due, in order, to a client that has shown everything up to `after`.

    Raises:
        UndecodableError: the results are not JSON.
    """
    payloads: list[JobStarted | JobProgress | JobComplete | JobError] = []
    if state.seq > after:
        if state.start_time is not None:
            payloads.append(JobStarted(total_count=state.total_count, metadata=state.metadata))
        if state.processed_count or state.user_message:
            payloads.append(_progress(state))
    if state.status in ENDED:
        payloads.append(_ending(state))
    return tuple(
        Message(
            job_id=state.job_id,
            pipeline=state.pipeline,
            timestamp=state.last_update_time,
            payload=payload,
            seq=state.seq,
        )
        for payload in payloads
    )


def _progress(state: State) -> JobProgress:
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


def _ending(state: State) -> JobComplete | JobError:
    if state.status != Status.COMPLETE:
        return state.error or error_of(ShelfwireError(Code.INTERNAL, f"The job is {state.status}, for no given reason"))
    return JobComplete(
        success_count=state.success_count,
        failure_count=state.failure_count,
        duration=state.duration or 0,
        results=None if state.results is msgspec.UNSET else _decoded(state.results),
        summary=terminal_summary(state.summary, truncated=bool(state.truncated)),
        results_url=state.results_url,
        truncated=state.truncated,
    )


def _decoded(results: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(results)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UndecodableError(str(error)) from error
