"""The content of HTTP answers, as types. Section 4 of the contract."""

from typing import Annotated, Any, Literal

import msgspec

from shelfwire.jobs.service import Page, Token
from shelfwire.jobs.store import Item
from shelfwire.protocol.messages import (
    Count,
    Millis,
    Uuid,
)
from shelfwire.protocol.state import Links, links_of
from shelfwire.protocol.tokens import Scope


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Optional members are left out while they are None."""


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


class HealthDetails(_Document, frozen=True, kw_only=True):
    """How a node stands that shares a database with others."""

    hints: Annotated[
        bool, msgspec.Meta(description="Whether it hears at once what others change; else it reads again each 250 ms.")
    ]
    clock_offset: Annotated[int, msgspec.Meta(description="Milliseconds by which its clock is behind the database's.")]
    claims: Annotated[bool, msgspec.Meta(description="Whether it takes jobs: not while its clock is wrong.")]
    nodes: Annotated[int, msgspec.Meta(description="Nodes that were seen within half a minute.")]


class Health(_Document, frozen=True, kw_only=True):
    """A sign of life."""

    status: Annotated[Literal["ok"], msgspec.Meta(description="It is well.")]
    details: Annotated[
        HealthDetails | None, msgspec.Meta(description="Where several nodes share a database: how this one stands.")
    ] = None


def created_of(
    token: Token,
    root: str,
    *,
    retry_of: str | None = None,
    total_photos: int | None = None,
    total_count: int | None = None,
) -> CreatedJob:
    """Describe a job to the caller that has created it, whose request came below the path `root`."""
    return CreatedJob(
        success=True,
        job_id=token.job_id,
        token=token.token,
        message="The job has started. Follow it with the token.",
        links=links_of(token.job_id, root),
        token_expires_at=token.expires_at,
        retry_of=retry_of,
        total_photos=total_photos,
        total_count=total_count,
    )


def new_token_of(token: Token) -> NewToken:
    """Describe a new token to the caller that it is issued to."""
    return NewToken(token=token.token, scopes=sorted(token.scopes), expires_at=token.expires_at)


def page_of(page: Page) -> ResultPage:
    """Return a page of results, in the order of the input."""
    following = None if page.next is None else str(page.next)
    return ResultPage(items=[item_of(item) for item in page.items], next=following, total=page.total)


def item_of(item: Item) -> ResultItem:
    """Return one entry of a page."""
    outcome: dict[str, Any] = {"result" if item.ok else "error": item.body}
    return ResultItem(index=item.index, ok=item.ok, title=item.title, source_index=item.source, **outcome)
