"""Records out of what Open Library answers: editions, works, and the results of its search. Pure."""

from typing import Any

import msgspec

from shelfwire.books.bibliography import cleaning, open_library
from shelfwire.books.bibliography.languages import language_of
from shelfwire.books.bibliography.records import BookRecord


def record_of_book(book: Any) -> BookRecord | None:
    """A record of an edition: as `api/books` with `jscmd=details` returns it, or by itself."""
    book = cleaning.members(book)
    edition = cleaning.members(book.get("details")) or book
    title = cleaning.text(edition.get("title"), cleaning.MOST_TITLE)
    if title is None:
        return None
    numbers = cleaning.members(edition.get("identifiers"))
    return BookRecord(
        title=_with_prefix(cleaning.text(edition.get("title_prefix")), title),
        subtitle=cleaning.text(edition.get("subtitle")),
        authors=cleaning.people(cleaning.named(edition.get("authors"))),
        isbn13s=cleaning.isbns(
            [*cleaning.elements(edition.get("isbn_13")), *cleaning.elements(edition.get("isbn_10"))]
        ),
        publisher=cleaning.text(cleaning.first(cleaning.named(edition.get("publishers")))),
        published=cleaning.date(edition.get("publish_date")),
        pages=cleaning.pages(edition.get("number_of_pages")) or cleaning.pages(edition.get("pagination")),
        language=language_of(open_library.key_of(cleaning.first(edition.get("languages")))),
        subjects=_subjects(edition),
        description=cleaning.description(edition.get("description")),
        cover_url=open_library.first_cover(edition.get("covers")),
        identifiers=cleaning.known(
            [
                (open_library.EDITION, open_library.olid(edition.get("key"), "M")),
                (open_library.WORK, open_library.olid(cleaning.first(edition.get("works")), "W")),
                *((ours, cleaning.first(numbers.get(theirs))) for theirs, ours in open_library.SYSTEMS.items()),
                ("lccn", cleaning.first(edition.get("lccn"))),
                ("oclc", cleaning.first(edition.get("oclc_numbers") or edition.get("oclc_number"))),
            ]
        ),
    )


def author_keys(record: Any) -> list[str]:
    """The keys of the authors of an edition, or of a work, whose list has roles around them."""
    authors = cleaning.elements(cleaning.members(record).get("authors"))
    keys = [
        open_library.olid(author, "A") or open_library.olid(cleaning.members(author).get("author"), "A")
        for author in authors
    ]
    return list(dict.fromkeys(key for key in keys if key))


def filled_from_work(record: BookRecord, work: dict[str, Any]) -> BookRecord:
    """A record with what it lacks and the record of its work has; its authors are there by their keys only."""
    return msgspec.structs.replace(
        record,
        work_title=record.work_title or cleaning.text(work.get("title"), cleaning.MOST_TITLE),
        subjects=record.subjects or _subjects(work),
        description=record.description or cleaning.description(work.get("description")),
        cover_url=record.cover_url or open_library.first_cover(work.get("covers")),
        identifiers={
            **record.identifiers,
            **cleaning.known([(open_library.WORK, open_library.olid(work.get("key"), "W"))]),
        },
    )


def filled_from_edition(record: BookRecord, edition: BookRecord) -> BookRecord:
    """A result of the search with what it lacks and the record of its own edition has."""
    lacking = {
        name: value
        for name in record.__struct_fields__
        if (value := getattr(edition, name)) and not getattr(record, name)
    }
    lacking["identifiers"] = {**edition.identifiers, **record.identifiers}
    if edition.published and edition.published.startswith(record.published or ""):
        lacking["published"] = edition.published
    return msgspec.structs.replace(record, **lacking)


def record_of_work(work: Any) -> BookRecord | None:
    """A record of a result of `search.json`: a work, with its best edition where there is one.

    What belongs to an edition is of that edition alone, even where it has no ISBN and others have. A work of a single
    edition is that edition.
    """
    work = cleaning.members(work)
    title = cleaning.text(work.get("title"), cleaning.MOST_TITLE)
    if title is None:
        return None
    editions = cleaning.count(work.get("edition_count"))
    edition = cleaning.members(cleaning.first(cleaning.members(work.get("editions")).get("docs")))
    if not edition and editions == 1:
        edition = {**work, "key": cleaning.first(work.get("edition_key"))}
    languages = cleaning.elements((edition or work).get("language"))
    cover = open_library.cover_url(edition.get("cover_i")) or open_library.cover_url(work.get("cover_i"))
    return BookRecord(
        title=cleaning.text(edition.get("title"), cleaning.MOST_TITLE) or title,
        work_title=title,
        subtitle=cleaning.text((edition or work).get("subtitle")),
        authors=cleaning.people(work.get("author_name")),
        isbn13s=cleaning.isbns((edition or work).get("isbn")),
        publisher=cleaning.text(cleaning.first(edition.get("publisher"))),
        published=cleaning.date(cleaning.first(edition.get("publish_date")) or work.get("first_publish_year")),
        pages=cleaning.pages((work if not edition or editions == 1 else edition).get("number_of_pages_median")),
        # A work has the languages of all its translations.
        language=language_of(languages[0]) if len(languages) == 1 else None,
        subjects=cleaning.texts(work.get("subject"), cleaning.MOST_SUBJECTS),
        cover_url=cover,
        identifiers=cleaning.known(
            [
                (open_library.EDITION, open_library.olid(edition.get("key"), "M")),
                (open_library.WORK, open_library.olid(work.get("key"), "W")),
            ]
        ),
        is_edition=bool(edition),
        editions=editions,
    )


def _with_prefix(prefix: str | None, title: str) -> str:
    """A title with the article that older records keep apart: "The", "L'"."""
    if prefix is None or title.startswith(f"{prefix} "):
        return title
    return f"{prefix}{title}" if prefix.endswith(("'", "\u2019")) else f"{prefix} {title}"


def _subjects(record: dict[str, Any]) -> tuple[str, ...]:
    return cleaning.texts(cleaning.named(record.get("subjects")), cleaning.MOST_SUBJECTS)
