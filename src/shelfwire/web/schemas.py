"""The content of HTTP answers, as types. Section 4 of the contract."""

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
    """A new job."""

    success: Annotated[Literal[True], msgspec.Meta(description="For old decoders.")]
    job_id: Annotated[Uuid, msgspec.Meta(description="The job.")]
    token: Annotated[
        str,
        msgspec.Meta(description="The secret that everything else about the job asks for; it is shown only now."),
    ]
    message: Annotated[str, msgspec.Meta(description="What to do next.")]
    links: Annotated[Links, msgspec.Meta(description="Where everything about the job is.")]
    token_expires_at: Annotated[
        Millis | None,
        msgspec.Meta(
            description="When the token stops working, in milliseconds since the epoch; it lasts as long as the job "
            "unless this is there."
        ),
    ] = None
    retry_of: Annotated[Uuid | None, msgspec.Meta(description="The job whose items this one takes up again.")] = None
    total_photos: Annotated[
        Count | None, msgspec.Meta(description="The number of photos, if that is what it works on.")
    ] = None
    total_count: Annotated[
        Count | None, msgspec.Meta(description="The number of items, where it is known already.")
    ] = None


class NewToken(_Document, frozen=True, kw_only=True):
    """One more token for a job."""

    token: Annotated[str, msgspec.Meta(description="The secret; it is shown only now.")]
    scopes: Annotated[list[Scope], msgspec.Meta(description="What it allows.")]
    expires_at: Annotated[
        Millis | None,
        msgspec.Meta(
            description="When it stops working, in milliseconds since the epoch; it lasts as long as the job unless "
            "this is there."
        ),
    ] = None


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


class ItemError(_Document, frozen=True, kw_only=True):
    """Why an item failed. It goes from the store to the wire as it is, with the members that its pipeline adds."""

    code: Annotated[str, msgspec.Meta(description="An entry of the table of error codes.")]
    message: Annotated[str, msgspec.Meta(description="What happened, for a developer.")]
    user_message: Annotated[str, msgspec.Meta(description="What happened and what to do next, for a person.")]
    retryable: Annotated[bool, msgspec.Meta(description="Whether the item may succeed in another job.")]


class ResultItem(_Document, frozen=True, kw_only=True):
    """One item: `result` if it was done, `error` if it failed."""

    index: Annotated[Count, msgspec.Meta(description="Its place in the input, from 0.")]
    ok: Annotated[bool, msgspec.Meta(description="Whether it was done.")]
    title: Annotated[str | None, msgspec.Meta(description="What a person knows it by.")] = None
    source_index: Annotated[
        Count | None, msgspec.Meta(description="Its place in the input of the job that this one is a retry of.")
    ] = None
    result: Annotated[Any, msgspec.Meta(description="What the pipeline made of it.")] = msgspec.UNSET
    error: Annotated[
        Any,
        msgspec.Meta(
            description="Why it failed.", extra_json_schema={"$ref": f"#/components/schemas/{ItemError.__name__}"}
        ),
    ] = msgspec.UNSET


class ResultPage(_Document, frozen=True, kw_only=True, omit_defaults=False):
    """Some results, in the order of the input."""

    items: Annotated[
        list[ResultItem],
        msgspec.Meta(description="The page; while the job runs it stops before the first item not yet recorded."),
    ]
    next: Annotated[
        str | None,
        msgspec.Meta(description="The cursor of the next page; null only once the job has ended and there is no more."),
    ]
    total: Annotated[Count, msgspec.Meta(description="The number of items that match so far.")]


class Health(_Document, frozen=True, kw_only=True):
    """A sign of life."""

    status: Annotated[Literal["ok"], msgspec.Meta(description="It is well.")]


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
    token: Token, *, retry_of: str | None = None, total_photos: int | None = None, total_count: int | None = None
) -> CreatedJob:
    """Describe a job to the caller that has created it."""
    return CreatedJob(
        success=True,
        job_id=token.job_id,
        token=token.token,
        message="The job has started. Follow it with the token.",
        links=links_of(token.job_id),
        token_expires_at=token.expires_at,
        retry_of=retry_of,
        total_photos=total_photos,
        total_count=total_count,
    )


def new_token_of(token: Token) -> NewToken:
    """Describe a new token to the caller that it is issued to."""
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
    """Return a page of results, in the order of the input."""
    following = None if page.next is None else str(page.next)
    return ResultPage(items=[item_of(item) for item in page.items], next=following, total=page.total)


def item_of(item: Item) -> ResultItem:
    """Return one entry of a page."""
    outcome: dict[str, Any] = {"result" if item.ok else "error": item.body}
    return ResultItem(index=item.index, ok=item.ok, title=item.title, source_index=item.source, **outcome)
