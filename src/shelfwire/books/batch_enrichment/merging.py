"""How the answers of several providers become one result. Pure.

1. The base is the best kind of match: one by ISBN before one by title, an edition before a work; among equals the
   provider that comes first in the order.
2. What the base leaves out is filled in from the others, in the same order, field by field.
3. What belongs to an edition (ISBN, subtitle, publisher, date, pages, language) is taken from another record only if
   that is the same edition: found by the same ISBN, or with an ISBN in common. The pages of one edition and the
   publisher of another make a book that nobody can buy. A work has the ISBNs of all its editions, so it gives one only
   if there is no other.
4. A date that is known in part is replaced by a fuller one that begins with it, of the same edition.
5. The identifiers of all the records are kept; one that two of them give is the first one's.
6. Only matches are merged, never candidates.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.matching import Match, Way
from shelfwire.books.bibliography.isbn import isbn10_of
from shelfwire.books.bibliography.records import BookRecord


class MatchInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """How a result was found."""

    by: Annotated[Way, Meta(description="Whether it was found by ISBN or by title.")]
    score: Annotated[float, Meta(description="How sure it is that this is the book, from 0 to 1.")]
    provider: Annotated[str, Meta(description="The provider whose match it is.")]


class EnrichedBook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The result for a book; what no provider knows is left out."""

    index: Annotated[int, Meta(description="The place of the book in the list that was sent, from 0.")]
    title: Annotated[str, Meta(description="The title of the edition, or of the work where no edition is known.")]
    authors: Annotated[tuple[str, ...], Meta(description="Their names, given name first.")]
    match: Annotated[MatchInfo, Meta(description="How it was found.")]
    work_title: Annotated[
        str | None, Meta(description="The title of the work, where it is known beside the edition's.")
    ] = None
    subtitle: Annotated[str | None, Meta(description="The subtitle.")] = None
    isbn13: Annotated[str | None, Meta(description="A valid ISBN-13 without hyphens.")] = None
    isbn10: Annotated[
        str | None, Meta(description="The same number as ISBN-10; those that begin with 979 have none.")
    ] = None
    publisher: Annotated[str | None, Meta(description="The publisher.")] = None
    published_date: Annotated[str | None, Meta(description="`YYYY-MM-DD`, or as much of it as is known.")] = None
    pages: Annotated[int | None, Meta(description="Number of pages.")] = None
    language: Annotated[str | None, Meta(description="ISO 639-1 where the language has such a code.")] = None
    subjects: Annotated[tuple[str, ...], Meta(description="What the book is about; at most 12.")] = ()
    description: Annotated[str | None, Meta(description="Plain text of at most 2,000 characters.")] = None
    cover_url: Annotated[str | None, Meta(description="An image, by https.")] = None
    identifiers: Annotated[dict[str, str], Meta(description="Each provider's own numbers, by system.")] = msgspec.field(
        default_factory=dict
    )
    sources: Annotated[
        dict[str, str], Meta(description="The provider of each of the other members, by the member's name.")
    ] = msgspec.field(default_factory=dict)
    warnings: Annotated[
        tuple[str, ...], Meta(description="What was wrong with the book that was asked for, for a person.")
    ] = ()


OF_THE_EDITION: Final = ("subtitle", "publisher", "published", "pages", "language")
OF_THE_WORK: Final = ("title", "work_title", "authors", "subjects", "description", "cover_url")
WANTED: Final = ("authors", "publisher", "published", "pages", "language", "description", "cover_url")
"""A book that has all of these is complete: no further provider is asked."""
_WIRE: Final = {"published": "published_date"}


def is_complete(matches: Sequence[Match], asked_isbn: str | None = None) -> bool:
    """Whether nothing is wanting that a further provider could add."""
    return bool(matches) and not missing(matches, asked_isbn)


def missing(matches: Sequence[Match], asked_isbn: str | None = None) -> set[str]:
    """What is wanting of a book that one provider at least surely knows: members of `BookRecord`."""
    ordered = _in_order(matches)
    lacking = set(WANTED).difference(name for name, _, _ in _fields(ordered))
    return lacking if _isbn(ordered, asked_isbn)[0] else lacking | {"isbn13s"}


def merged(
    index: int, matches: Sequence[Match], asked_isbn: str | None = None, warnings: tuple[str, ...] = ()
) -> EnrichedBook:
    """Make one result of the matches for one book.

    Args:
        index: see `EnrichedBook`.
        matches: one at least, in the order of the providers.
        asked_isbn: the ISBN that was asked for, if any.
        warnings: see `EnrichedBook`.
    """
    ordered = _in_order(matches)
    base = ordered[0]
    members: dict[str, Any] = {"authors": ()}
    sources: dict[str, str] = {}
    for name, value, provider in _fields(ordered):
        members[_WIRE.get(name, name)] = value
        sources[_on_the_wire(name)] = provider
    if members.get("work_title") == members["title"]:
        del members["work_title"], sources["workTitle"]
    isbn, provider = _isbn(ordered, asked_isbn)
    if isbn:
        isbn10 = isbn10_of(isbn)
        members |= {"isbn13": isbn, "isbn10": isbn10}
        sources |= {"isbn13": provider} | ({"isbn10": provider} if isbn10 else {})
    identifiers: dict[str, str] = {}
    for match in ordered:
        identifiers = {**match.record.identifiers, **identifiers}
    return EnrichedBook(
        index=index,
        match=MatchInfo(by=base.way, score=base.score, provider=base.provider),
        identifiers=identifiers,
        sources=sources,
        warnings=warnings,
        **members,
    )


def _in_order(matches: Sequence[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (match.way is not Way.ISBN, not match.record.is_edition))


def _fields(ordered: Sequence[Match]) -> list[tuple[str, Any, str]]:
    """Each field that some record may fill in: its name, its value, whose it is."""
    base = ordered[0]
    same = [match for match in ordered if match is base or is_same_edition(base, match)]
    found = [
        *_first_of(OF_THE_WORK, ordered, getattr),
        *_first_of(OF_THE_EDITION, same, getattr),
    ]
    return [_fuller(*field, same) if field[0] == "published" else field for field in found]


def _first_of(
    names: Sequence[str], matches: Sequence[Match], read: Callable[[BookRecord, str], Any]
) -> list[tuple[str, Any, str]]:
    found = []
    for name in names:
        for match in matches:
            if value := read(match.record, name):
                found.append((name, value, match.provider))
                break
    return found


def _fuller(name: str, date: str, provider: str, same: Sequence[Match]) -> tuple[str, str, str]:
    for match in same:
        other = match.record.published or ""
        if len(other) > len(date) and other.startswith(date):
            date, provider = other, match.provider
    return name, date, provider


def is_same_edition(one: Match, other: Match) -> bool:
    """Whether two matches are surely of one edition."""
    if not (one.record.is_edition and other.record.is_edition):
        return False
    if one.way is Way.ISBN and other.way is Way.ISBN and not (one.record.isbn13s and other.record.isbn13s):
        return True
    return not set(one.record.isbn13s).isdisjoint(other.record.isbn13s)


def _isbn(ordered: Sequence[Match], asked: str | None) -> tuple[str | None, str]:
    """The ISBN of the result: the one asked for where the base was found by it, else the base's first."""
    base = ordered[0]
    isbns = base.record.isbn13s
    if asked and base.way is Way.ISBN and (not isbns or asked in isbns):
        return asked, base.provider
    is_known = bool(isbns) if base.record.is_edition else len(isbns) == 1
    return (isbns[0], base.provider) if is_known else (None, "")


def _on_the_wire(name: str) -> str:
    head, *rest = _WIRE.get(name, name).split("_")
    return head + "".join(word.capitalize() for word in rest)
