"""How one book is looked up: which provider is asked what, and when that is enough.

Providers are asked in their order, until the result is complete. Each is asked by ISBN first, and by title and author
if that does not surely find the book. Where something is wanting in the end, those that know the book are asked for all
they have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from shelfwire.books.batch_enrichment.matching import Match, Way, ranked
from shelfwire.books.batch_enrichment.merging import EnrichedBook, is_complete, merged, missing
from shelfwire.books.batch_enrichment.port import Provider, ProviderDown
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.isbn import has_isbn_form
from shelfwire.books.bibliography.people import authors_of_any_list
from shelfwire.books.codes import BookCode
from shelfwire.books.upstream.errors import Reason
from shelfwire.errors import ShelfwireError

UNSURE: Final = "Other books were found that may be this one. Choose among them, or add the author or the ISBN."
REFUSED: Final = "Book catalogues refuse this service: {}. Its operator has to see to it."
SPENT: Final = "Book catalogues have answered all that they do for today: {}. Please try again tomorrow."
MOST_CANDIDATES: Final = 3
LEAST_LIKELY: Final = 0.3
"""The lowest score of a candidate that is shown to a person."""


class Inquiry(msgspec.Struct):
    """The findings on one book so far.

    Attributes:
        asked: the book.
        isbn13: its ISBN: the one that was asked for, or that of an edition which was found by title.
        matches: one of each provider that surely knows it, in their order.
        candidates: records that may be it.
        down: the providers that gave no answer, by name.
        unfinished: those that know the book and have not been asked for all they know of it.
    """

    asked: AskedBook
    isbn13: str | None
    matches: list[Match] = msgspec.field(default_factory=list)
    candidates: list[Match] = msgspec.field(default_factory=list)
    down: dict[str, ProviderDown] = msgspec.field(default_factory=dict)
    unfinished: set[str] = msgspec.field(default_factory=set)

    @property
    def reasons(self) -> dict[str, Reason]:
        """Why the providers in `down` gave no answer."""
        return {name: error.reason for name, error in self.down.items()}


class Lookups:
    """Looks books up, any number at once, for all jobs of a node.

    Args:
        providers: in the order in which they are asked.
    """

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)

    async def find(
        self, index: int, asked: AskedBook, unanswered: Callable[[Mapping[str, Reason]], None] = lambda _: None
    ) -> EnrichedBook:
        """Return the data of the providers on a book.

        Args:
            index: its place in the list that was sent, for the result.
            asked: the book.
            unanswered: receives the providers that gave no answer, whether others know the book or not, and why.

        Raises:
            ShelfwireError: `E_ENRICHMENT_FAILED`: no provider knows it; `E_PROVIDER_UNAVAILABLE`: none of those that
                answered knows it, and some did not. `details` has the candidates, and those that did not answer.
        """
        inquiry = Inquiry(asked, asked.isbn13)
        for ask in (_consult, _finish):
            for provider in self._providers:
                if is_complete(inquiry.matches, asked.isbn13):
                    break
                try:
                    await ask(provider, inquiry)
                except ProviderDown as error:
                    inquiry.down[provider.name] = error
        if inquiry.down:
            unanswered(inquiry.reasons)
        if not self._providers:
            raise ShelfwireError(
                BookCode.PROVIDER_UNAVAILABLE, "There is no provider of book data: see the setting providers"
            )
        if not inquiry.matches:
            raise _nothing(inquiry)
        return merged(index, inquiry.matches, asked.isbn13, _warnings(inquiry))


async def _consult(provider: Provider, inquiry: Inquiry) -> None:
    """Ask one provider, and note its answer."""
    asked = inquiry.asked
    if inquiry.isbn13 is not None:
        found = await provider.by_isbn(inquiry.isbn13)
        if asked.isbn13 is None:
            # An ISBN that came with a title says which edition; whether it is the book, only the title can.
            found = [record for record in found if inquiry.isbn13 in record.isbn13s]
        way = Way.ISBN if asked.isbn13 else Way.TITLE
        if await _note(provider, inquiry, ranked(asked, provider.name, found, way)):
            return
    if not has_isbn_form(asked.title):
        people = authors_of_any_list(asked.author or "")
        found = await provider.by_title(asked.title, people[0] if people else None)
        if not found and people:
            # One letter of a name that is spelt otherwise hides the book; the scores see to it that it is the one.
            found = await provider.by_title(asked.title, None)
        await _note(provider, inquiry, ranked(asked, provider.name, found, Way.TITLE))


async def _note(provider: Provider, inquiry: Inquiry, matches: Sequence[Match]) -> bool:
    """Take the best over if it is surely the book, and all as candidates if not. Tell which."""
    if not matches or not matches[0].is_sure:
        inquiry.candidates.extend(matches)
        return False
    inquiry.matches.append(matches[0])
    try:
        await _complete(provider, inquiry, thorough=False)
    finally:
        best = inquiry.matches[-1].record
        if inquiry.isbn13 is None and best.is_edition and best.isbn13s:
            inquiry.isbn13 = best.isbn13s[0]
    return True


async def _finish(provider: Provider, inquiry: Inquiry) -> None:
    """Ask a provider that knows the book for all it knows of it."""
    if provider.name in inquiry.unfinished:
        await _complete(provider, inquiry, thorough=True)


async def _complete(provider: Provider, inquiry: Inquiry, *, thorough: bool) -> None:
    """Let a provider that surely knows the book add what it knows further, if something is wanting."""
    place = next(place for place, match in enumerate(inquiry.matches) if match.provider == provider.name)
    if not (wanting := missing(inquiry.matches, inquiry.asked.isbn13)):
        return
    record, is_unfinished = await provider.completed(inquiry.matches[place].record, wanting, thorough=thorough)
    inquiry.matches[place] = msgspec.structs.replace(inquiry.matches[place], record=record)
    if is_unfinished:
        inquiry.unfinished.add(provider.name)


def _nothing(inquiry: Inquiry) -> ShelfwireError:
    details: dict[str, Any] = {}
    likely = sorted(inquiry.candidates, key=lambda match: -match.score)
    if candidates := [_shown(match) for match in likely if match.score >= LEAST_LIKELY]:
        details["candidates"] = candidates[:MOST_CANDIDATES]
    title = inquiry.asked.title
    if inquiry.down:
        reasons = inquiry.reasons
        details |= {"providers": list(reasons), "reasons": reasons}
        return ShelfwireError(
            BookCode.PROVIDER_UNAVAILABLE,
            f"{title!r}: {'; '.join(map(str, inquiry.down.values()))}; no other provider knows the book",
            user_message=_advice(reasons),
            details=details,
        )
    if candidates:
        return ShelfwireError(
            BookCode.ENRICHMENT_FAILED,
            f"{title!r}: nothing that surely is the book was found",
            user_message=UNSURE,
            details=details,
        )
    return ShelfwireError(BookCode.ENRICHMENT_FAILED, f"{title!r}: no provider knows the book", details=details)


def _advice(reasons: Mapping[str, Reason]) -> str | None:
    """What to do about providers that gave no answer, for a person; None if trying again later is all."""
    if any(reason.needs_operator for reason in reasons.values()):
        return REFUSED.format(_named(reasons))
    if Reason.DAY_QUOTA in reasons.values():
        return SPENT.format(_named(reasons))
    return None


def _named(reasons: Mapping[str, Reason]) -> str:
    return ", ".join(f"{name} ({reason.text.short})" for name, reason in reasons.items())


def _shown(match: Match) -> dict[str, Any]:
    """A candidate as a failed item lists it."""
    record = match.record
    known = {
        "title": record.title,
        "authors": record.authors,
        "isbn13": next(iter(record.isbn13s), None),
        "publishedDate": record.published,
        "coverUrl": record.cover_url,
        "by": match.way,
        "score": match.score,
        "provider": match.provider,
    }
    return {name: value for name, value in known.items() if value}


def _warnings(inquiry: Inquiry) -> tuple[str, ...]:
    """Warnings about a book that was found, for a person."""
    asked = inquiry.asked
    warnings = [asked.warning] if asked.warning else []
    other = next((match.record for match in inquiry.candidates if match.way is Way.ISBN), None)
    if other and all(match.way is Way.TITLE for match in inquiry.matches):
        warnings.append(f'The ISBN {asked.isbn13} is that of "{other.title}"; the book was found by its title.')
    if inquiry.down:
        warnings.append(f"Could not be asked, so that something may be missing: {_named(inquiry.reasons)}.")
    return tuple(warnings)
