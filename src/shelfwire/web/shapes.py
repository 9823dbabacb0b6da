"""The documents that HTTP answers hold, as types. Section 4 of the contract."""

from typing import Any

import msgspec

from shelfwire.jobs.ending import results_path
from shelfwire.jobs.service import Page, Token
from shelfwire.jobs.store import Committed, Item
from shelfwire.protocol.feed import current_item
from shelfwire.protocol.grants import Scope
from shelfwire.protocol.messages import Count, CurrentItem, JobComplete, JobError, Message, Metadata, Millis, decode


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Optional members are left out while they are None."""


class Links(_Document, frozen=True, kw_only=True):
    """Where everything about a job is, relative to where shelfwire is mounted."""

    self: str
    results: str
    events: str
    progress: str
    cancel: str
    pause: str
    resume: str
    retry: str
    token: str


class CreatedJob(_Document, frozen=True, kw_only=True):
    """A new job. The token is shown only now."""

    success: bool
    job_id: str
    token: str
    message: str
    links: Links
    token_expires_at: Millis | None = None
    retry_of: str | None = None


class NewToken(_Document, frozen=True, kw_only=True):
    """One more token for a job. It is shown only now."""

    token: str
    scopes: list[Scope]
    expires_at: Millis | None = None


class State(_Document, frozen=True, kw_only=True):
    """Where a job stands. With `lastUpdateTime` as their timestamp, its messages can be made of it exactly."""

    job_id: str
    pipeline: str
    status: str
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
    eta_seconds: Count | None = None
    start_time: Millis | None = None
    metadata: Metadata | None = None
    retry_of: str | None = None
    summary: str | None = None
    duration: Count | None = None
    error: JobError | None = None
    results: Any = None
    results_url: str | None = None
    truncated: bool | None = None


class ResultItem(_Document, frozen=True, kw_only=True):
    """One item: `result` if it was done, `error` if it failed. `sourceIndex` is set in a retry."""

    index: Count
    ok: bool
    title: str | None = None
    source_index: Count | None = None
    result: Any = msgspec.UNSET
    error: Any = msgspec.UNSET


class ResultPage(_Document, frozen=True, kw_only=True, omit_defaults=False):
    """Some results, the cursor of the next page (null only once the job has ended), and how many match so far."""

    items: list[ResultItem]
    next: str | None
    total: Count


class Health(_Document, frozen=True, kw_only=True):
    """A sign of life."""

    status: str


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


def created_of(token: Token, message: str, retry_of: str | None = None) -> CreatedJob:
    """What the maker of a job is told."""
    return CreatedJob(
        success=True,
        job_id=token.job_id,
        token=token.token,
        message=message,
        links=links_of(token.job_id),
        token_expires_at=token.expires_at,
        retry_of=retry_of,
    )


def token_of(token: Token) -> NewToken:
    """What the holder of a new token is told."""
    return NewToken(token=token.token, scopes=sorted(token.scopes), expires_at=token.expires_at)


def state_of(committed: Committed) -> State:
    """Where a job stands, for who watches it."""
    state = committed.state
    complete = _complete(committed.terminal)
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
        eta_seconds=state.eta_seconds,
        start_time=state.started_at,
        metadata=state.metadata,
        retry_of=state.retry_of,
        summary=complete.summary if complete else state.summary,
        duration=state.duration if state.ended else None,
        error=state.error,
        results=complete.results if complete else None,
        results_url=complete.results_url if complete else None,
        truncated=complete.truncated if complete else None,
    )


def page_of(page: Page) -> ResultPage:
    """A page of results, in the order of the input."""
    following = None if page.next is None else str(page.next)
    return ResultPage(items=[item_of(item) for item in page.items], next=following, total=page.total)


def item_of(item: Item) -> ResultItem:
    """One entry of a page."""
    outcome: dict[str, Any] = {"result" if item.ok else "error": item.body}
    return ResultItem(index=item.index, ok=item.ok, title=item.title, source_index=item.source, **outcome)


def _complete(terminal: str | None) -> JobComplete | None:
    match None if terminal is None else decode(terminal):
        case Message(payload=JobComplete() as complete):
            return complete
        case _:
            return None
