"""The documents that HTTP answers hold, as types. Section 4 of the contract."""

from typing import Annotated, Any, Literal

import msgspec

from shelfwire.jobs.results import InlineResults, inline_results, results_path
from shelfwire.jobs.service import Page, Token
from shelfwire.jobs.store import Committed, Item
from shelfwire.protocol.feed import current_item
from shelfwire.protocol.job import Status
from shelfwire.protocol.messages import (
    Address,
    Count,
    CurrentItem,
    JobError,
    Metadata,
    Millis,
    Seconds,
    Uuid,
)
from shelfwire.protocol.tokens import Scope

Failure = Annotated[
    Any,
    msgspec.Meta(
        extra_json_schema={
            "type": "object",
            "required": ["code", "message", "userMessage", "retryable"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "userMessage": {"type": "string"},
                "retryable": {"type": "boolean"},
            },
        }
    ),
]
"""Why an item failed; it goes from the store to the wire as it is, with whatever else the pipeline says of it."""


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Optional members are left out while they are None."""


class Links(_Document, frozen=True, kw_only=True):
    """Where everything about a job is, relative to where shelfwire is mounted.

    Attributes:
        self: its state; DELETE erases it.
        results: what became of its items.
        events: its progress, as server-sent events.
        progress: its progress, over a WebSocket.
        cancel: POST ends it for good.
        pause: POST lets it wait.
        resume: POST lets it go on.
        retry: POST makes a new job of what failed.
        token: POST hands out another token, DELETE revokes the one it is called with.
    """

    self: Address
    results: Address
    events: Address
    progress: Address
    cancel: Address
    pause: Address
    resume: Address
    retry: Address
    token: Address


class CreatedJob(_Document, frozen=True, kw_only=True):
    """A new job.

    Attributes:
        success: for old decoders.
        job_id: the job.
        token: the secret that everything else about the job asks for; it is shown only now.
        message: what to do next.
        links: where everything about the job is.
        token_expires_at: when the token stops working, in milliseconds since the epoch; it lasts as long as the job
            unless this is there.
        retry_of: the job whose items this one takes up again.
        total_photos: how many photos there are, if that is what it works on.
        total_count: how many items there are, where that is known already.
    """

    success: Literal[True]
    job_id: Uuid
    token: str
    message: str
    links: Links
    token_expires_at: Millis | None = None
    retry_of: Uuid | None = None
    total_photos: Count | None = None
    total_count: Count | None = None


class NewToken(_Document, frozen=True, kw_only=True):
    """One more token for a job.

    Attributes:
        token: the secret; it is shown only now.
        scopes: what it allows.
        expires_at: when it stops working, in milliseconds since the epoch; it lasts as long as the job unless this is
            there.
    """

    token: str
    scopes: list[Scope]
    expires_at: Millis | None = None


class State(_Document, frozen=True, kw_only=True):
    """Where a job stands. With `lastUpdateTime` as their timestamp, its messages can be made of it exactly.

    Attributes:
        job_id: the job.
        pipeline: the pipeline that runs it.
        status: where it stands.
        total_count: items in the input; 0 until it is known.
        processed_count: items recorded, done or failed.
        success_count: items that were done.
        failure_count: items that failed.
        last_update_time: when it last changed, in milliseconds since the epoch.
        seq: its revision.
        attempt: how often a worker has taken it up.
        expires_at: when it is erased unless it goes on, in milliseconds since the epoch.
        links: where everything about it is.
        current_title: the item recorded last, as a person knows it.
        current_item: more of the item recorded last.
        user_message: what to tell a person beside the counts.
        pausing: true while a pause was asked for and the worker has not confirmed it.
        stalled: true while it runs and has recorded nothing for long.
        eta_seconds: seconds that are left, from the measured rate.
        start_time: when the number of items was known, in milliseconds since the epoch.
        metadata: what it works on.
        retry_of: the job whose items this one takes up again.
        summary: what it came to, for a person.
        duration: seconds from the start to the end, once it has ended.
        error: why it failed or was canceled.
        results: what the pipeline made of the items, once it is complete.
        results_url: where all results are, if not all are here.
        truncated: true if `results` holds only the first of them.
    """

    job_id: Uuid
    pipeline: str
    status: Status
    total_count: Count
    processed_count: Count
    success_count: Count
    failure_count: Count
    last_update_time: Millis
    seq: Count
    attempt: Count
    expires_at: Millis
    links: Links
    current_title: str | None = None
    current_item: CurrentItem | None = None
    user_message: str | None = None
    pausing: bool | None = None
    stalled: bool | None = None
    eta_seconds: Seconds | None = None
    start_time: Millis | None = None
    metadata: Metadata | None = None
    retry_of: Uuid | None = None
    summary: str | None = None
    duration: Seconds | None = None
    error: JobError | None = None
    results: Any = None
    results_url: Address | None = None
    truncated: bool | None = None


class ResultItem(_Document, frozen=True, kw_only=True):
    """One item: `result` if it was done, `error` if it failed.

    Attributes:
        index: its place in the input, from 0.
        ok: whether it was done.
        title: what a person knows it by.
        source_index: its place in the input of the job that this one is a retry of.
        result: what the pipeline made of it.
        error: why it failed.
    """

    index: Count
    ok: bool
    title: str | None = None
    source_index: Count | None = None
    result: Any = msgspec.UNSET
    error: Failure = msgspec.UNSET


class ResultPage(_Document, frozen=True, kw_only=True, omit_defaults=False):
    """Some results, in the order of the input.

    Attributes:
        items: the page; while the job runs it stops before the first item not yet recorded.
        next: the cursor of the next page; null only once the job has ended and there is no more.
        total: how many items match so far.
    """

    items: list[ResultItem]
    next: str | None
    total: Count


class Health(_Document, frozen=True, kw_only=True):
    """A sign of life.

    Attributes:
        status: it is well.
    """

    status: Literal["ok"]


def links_of(job_id: str) -> Links:
    """Where everything about a job is."""
    base = f"/api/jobs/{job_id}"
    return Links(
        self=base,
        results=results_path(job_id),
        events=f"{base}/events",
        progress=f"/ws/progress?jobId={job_id}",
        cancel=f"{base}/cancel",
        pause=f"{base}/pause",
        resume=f"{base}/resume",
        retry=f"{base}/retry",
        token=f"{base}/token",
    )


def created_of(
    token: Token,
    message: str,
    *,
    retry_of: str | None = None,
    total_photos: int | None = None,
    total_count: int | None = None,
) -> CreatedJob:
    """What the maker of a job is told."""
    return CreatedJob(
        success=True,
        job_id=token.job_id,
        token=token.token,
        message=message,
        links=links_of(token.job_id),
        token_expires_at=token.expires_at,
        retry_of=retry_of,
        total_photos=total_photos,
        total_count=total_count,
    )


def token_of(token: Token) -> NewToken:
    """What the holder of a new token is told."""
    return NewToken(token=token.token, scopes=sorted(token.scopes), expires_at=token.expires_at)


def state_of(committed: Committed) -> State:
    """Where a job stands, for who watches it."""
    state = committed.state
    ending = InlineResults() if committed.terminal is None else inline_results(committed.terminal)
    return State(
        job_id=state.id,
        pipeline=state.pipeline,
        status=state.status,
        total_count=state.total or 0,
        processed_count=state.processed,
        success_count=state.succeeded,
        failure_count=state.failed,
        last_update_time=state.updated_at,
        seq=state.seq,
        attempt=state.attempt,
        expires_at=state.expires_at,
        links=links_of(state.id),
        current_title=state.title,
        current_item=current_item(state),
        user_message=state.user_message,
        stalled=state.stalled or None,
        pausing=state.pausing or None,
        eta_seconds=state.eta_seconds,
        start_time=state.started_at,
        metadata=state.metadata,
        retry_of=state.retry_of,
        summary=state.summary,
        duration=state.duration if state.ended else None,
        error=state.error,
        results=ending.results or None,
        results_url=ending.results_url,
        truncated=ending.truncated,
    )


def page_of(page: Page) -> ResultPage:
    """A page of results, in the order of the input."""
    following = None if page.next is None else str(page.next)
    return ResultPage(items=[item_of(item) for item in page.items], next=following, total=page.total)


def item_of(item: Item) -> ResultItem:
    """One entry of a page."""
    outcome: dict[str, Any] = {"result" if item.ok else "error": item.body}
    return ResultItem(index=item.index, ok=item.ok, title=item.title, source_index=item.source, **outcome)
