"""What a lookup says of a book that no provider surely knows, and a job of the providers that gave no answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.mended_book import MendedBook
from shelfwire.books.upstream.errors import Reason


class LookupCandidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A book that may be the one looked up."""

    title: Annotated[str, Meta(description="Its title.")]
    authors: Annotated[Sequence[str], Meta(description="Their names, given name first.")] = ()
    isbn13: Annotated[str | None, Meta(description="An ISBN-13 without hyphens.")] = None
    published_date: Annotated[str | None, Meta(description="`YYYY-MM-DD`, or as much of it as is known.")] = None
    cover_url: Annotated[str | None, Meta(description="An image, by https.")] = None
    by: Annotated[str, Meta(description="How it was found: by `isbn` or by `title`.")]
    score: Annotated[float, Meta(description="How likely it is the book, from 0 to 1.")]
    provider: Annotated[str, Meta(description="The provider that knows it.")]


Candidates = Annotated[Sequence[LookupCandidate], Meta(description="Books that may be it, the likeliest first.")]
Providers = Annotated[Sequence[str], Meta(description="The providers that did not answer.")]
Reasons = Annotated[
    Mapping[str, Reason], Meta(description="Why each of these did not, such as `key_refused` or `day_quota`.")
]


class LookupFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of a failed book beside its error."""

    asked: Annotated[MendedBook | None, Meta(description="What was looked up, in the form in which it is mended.")] = (
        None
    )
    candidates: Candidates = ()
    providers: Providers = ()
    reasons: Reasons = msgspec.field(default_factory=dict)


class EnrichmentError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Why a book was not enriched, with what is known of it nevertheless."""

    code: Annotated[str, Meta(description="The error's code.")]
    message: Annotated[str, Meta(description="What happened, for a developer.")]
    user_message: Annotated[str, Meta(description="What happened, for a person.")]
    retryable: Annotated[bool, Meta(description="Whether looking it up again may help.")]
    candidates: Candidates = ()
    providers: Providers = ()
    reasons: Reasons = msgspec.field(default_factory=dict)


class Unanswered:
    """Counts the books of one job that providers gave no answer about."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Reason]] = Counter()

    def note(self, down: Mapping[str, Reason]) -> None:
        """Take note of the providers that did not answer about a book."""
        self._counts.update(down.items())

    def added_to(self, summary: str) -> str:
        """A summary with the providers and reasons, for a person; as it is if all have answered."""
        missing = [
            f"{provider} could not be asked about {count:,} ({reason.text.short})"
            for (provider, reason), count in self._counts.items()
        ]
        return "; ".join([summary, *missing])
