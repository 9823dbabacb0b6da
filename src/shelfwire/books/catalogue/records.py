"""Records of Open Library: their stored form, and the books made of it. Pure.

Records are edited by many people and programs: anything but their key may be missing or have another form. A build
reads only the members that a book is found by. It stores the others as they came, and they are decoded when the book is
an answer, which most books never are.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from shelfwire.books.bibliography import cleaning, open_library
from shelfwire.books.bibliography.cleaning import MOST_TITLE, text, tidy
from shelfwire.books.bibliography.open_library import cover_url, is_cover
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.text import words

MOST_KEPT_BYTES: Final = 4_096
"""Of a record as it came; larger ones are cut to the bounds below before they are kept."""
MOST_BRACKETS: Final = 128
"""Likewise: a caller may be so deep in calls that Python can decode few nested brackets."""
_SMALL_BYTES: Final = 512
"""Most records are no larger, and cannot hold too many brackets."""
COVER: Final = 10**15

ABSENT: Final = Raw(b"0")
"""Stored for a missing member: no JSON is shorter."""


class AuthorRecord(msgspec.Struct, gc=False):
    """The members of an author that are read."""

    name: Any = None
    personal_name: Any = None


class WorkRecord(msgspec.Struct, gc=False):
    """The members of a work that are read, and those that are stored undecoded."""

    title: Any = None
    title_prefix: Any = None
    subtitle: Any = None
    authors: Raw = ABSENT
    first_publish_date: Raw = ABSENT
    subjects: Raw = ABSENT
    description: Raw = ABSENT
    covers: Raw = ABSENT


class EditionRecord(msgspec.Struct, gc=False):
    """The members of an edition that are read, and those that are stored undecoded."""

    title: Any = None
    title_prefix: Any = None
    subtitle: Any = None
    authors: Raw = ABSENT
    works: Raw = ABSENT
    isbn_13: Any = None
    isbn_10: Any = None
    publishers: Raw = ABSENT
    publish_date: Raw = ABSENT
    number_of_pages: Raw = ABSENT
    languages: Raw = ABSENT
    subjects: Raw = ABSENT
    description: Raw = ABSENT
    covers: Raw = ABSENT
    identifiers: Raw = ABSENT
    oclc_numbers: Raw = ABSENT
    lccn: Raw = ABSENT


class _Work(msgspec.Struct, array_like=True, gc=False):
    """A work as it is stored. The order of the members is the form on the disk, as that of `BookRecord` is."""

    title: str
    subtitle: str | None
    first_publish_date: Any
    subjects: Any
    description: Any
    covers: Any


class _Edition(msgspec.Struct, array_like=True, gc=False):
    """An edition as it is stored, likewise."""

    title: str
    subtitle: str | None
    isbns: list[int]
    publishers: Any
    publish_date: Any
    number_of_pages: Any
    languages: Any
    subjects: Any
    description: Any
    covers: Any
    identifiers: Any
    oclc_numbers: Any
    lccn: Any


_NO_WORK: Final = _Work("", None, 0, 0, 0, 0)
R = TypeVar("R", _Work, _Edition)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ENCODE: Final = msgspec.json.Encoder().encode
_WORK: Final = msgspec.json.Decoder(_Work)
_EDITION: Final = msgspec.json.Decoder(_Edition)
_MEMBERS: Final = msgspec.json.Decoder(list[Raw])


def kept_work(record: WorkRecord, title: str, subtitle: str | None) -> bytes:
    """The stored form of a work."""
    work = _Work(title, subtitle, record.first_publish_date, record.subjects, record.description, record.covers)
    kept = _ENCODE(work)
    return kept if len(kept) <= _SMALL_BYTES or _is_bounded(kept) else _ENCODE(_cut_work(_decoded(kept, _WORK)))


def kept_edition(record: EditionRecord, title: str, subtitle: str | None, isbns: list[int]) -> bytes:
    """The stored form of an edition."""
    edition = _Edition(
        title,
        subtitle,
        isbns,
        record.publishers,
        record.publish_date,
        record.number_of_pages,
        record.languages,
        record.subjects,
        record.description,
        record.covers,
        record.identifiers,
        record.oclc_numbers,
        record.lccn,
    )
    kept = _ENCODE(edition)
    return kept if len(kept) <= _SMALL_BYTES or _is_bounded(kept) else _ENCODE(_cut_edition(_decoded(kept, _EDITION)))


def _is_bounded(kept: bytes) -> bool:
    return len(kept) <= MOST_KEPT_BYTES and kept.count(b"[") + kept.count(b"{") <= MOST_BRACKETS


def work_entry(number: int, kept: bytes, authors: tuple[str, ...]) -> BookRecord:
    """A work as a book.

    Args:
        number: of the work.
        kept: its stored form.
        authors: their names.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the stored form is damaged.
    """
    work = _decoded(kept, _WORK)
    return BookRecord(
        is_edition=False,
        title=tidy(work.title, MOST_TITLE) or "",
        authors=authors,
        subtitle=text(work.subtitle),
        published=text(work.first_publish_date),
        subjects=_subjects(work.subjects),
        description=cleaning.description(work.description),
        cover_url=_cover_url(work.covers),
        identifiers={open_library.WORK: f"OL{number}W"},
    )


def edition_entry(
    number: int, kept: bytes, authors: tuple[str, ...], work_number: int | None, work_kept: bytes | None
) -> BookRecord:
    """An edition as a book, completed by its work.

    Args:
        number: of the edition.
        kept: its stored form.
        authors: their names.
        work_number: of its work, if it names one.
        work_kept: the stored form of that, if it is known.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the stored form is damaged.
    """
    edition = _decoded(kept, _EDITION)
    work = _NO_WORK if work_kept is None else _decoded(work_kept, _WORK)
    title, identifiers = tidy(edition.title, MOST_TITLE) or "", {open_library.EDITION: f"OL{number}M"}
    # Most records lack most members, and a call for each that is not there would cost more than those that are.
    if edition.identifiers or edition.oclc_numbers or edition.lccn:
        identifiers |= _identifiers(edition)
    if work_kept is not None:
        identifiers[open_library.WORK] = f"OL{work_number}W"
    return BookRecord(
        title=title,
        authors=authors,
        subtitle=text(edition.subtitle) if edition.subtitle else None,
        work_title=None if work.title in ("", edition.title) else _other(work.title, title),
        isbn13s=tuple([str(isbn) for isbn in edition.isbns]),
        publisher=_first(edition.publishers) if edition.publishers else None,
        published=text(edition.publish_date) if edition.publish_date else None,
        pages=cleaning.pages(edition.number_of_pages) if edition.number_of_pages else None,
        language=_language(edition.languages) if edition.languages else None,
        subjects=_subjects(edition.subjects) or _subjects(work.subjects),
        description=cleaning.description(edition.description) or cleaning.description(work.description),
        cover_url=_cover_url(edition.covers) or _cover_url(work.covers),
        identifiers=identifiers,
    )


def _decoded(kept: bytes, decoder: "msgspec.json.Decoder[R]") -> R:
    try:
        return decoder.decode(kept)
    except _UNREADABLE:
        # Letters that are no UTF-8, and brackets in very many brackets, were kept without a look.
        read: R = msgspec.convert([_member(raw) for raw in _MEMBERS.decode(kept)], decoder.type)
        return read


def _member(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except _UNREADABLE:
        return None


def _cut_work(work: _Work) -> _Work:
    return _Work(
        title=work.title,
        subtitle=work.subtitle,
        first_publish_date=text(work.first_publish_date),
        subjects=_subjects(work.subjects),
        description=cleaning.description(work.description),
        covers=_covers(work.covers),
    )


def _cut_edition(edition: _Edition) -> _Edition:
    numbers = _identifiers(edition)
    return _Edition(
        title=edition.title,
        subtitle=edition.subtitle,
        isbns=edition.isbns,
        publishers=[_first(edition.publishers)],
        publish_date=text(edition.publish_date),
        number_of_pages=cleaning.pages(edition.number_of_pages),
        languages=[_language(edition.languages)],
        subjects=_subjects(edition.subjects),
        description=cleaning.description(edition.description),
        covers=_covers(edition.covers),
        identifiers={given: [numbers[ours]] for given, ours in open_library.SYSTEMS.items() if ours in numbers},
        oclc_numbers=[numbers.get("oclc")],
        lccn=[numbers.get("lccn")],
    )


def _first(values: Any) -> str | None:
    """The first text of a list."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, str):
            return tidy(value)
    return None


def _other(title: str, than: str) -> str | None:
    """A title, if it is another one."""
    title = tidy(title, MOST_TITLE) or ""
    return None if words(title) == words(than) else title


def _subjects(values: Any) -> tuple[str, ...]:
    return cleaning.texts(values, cleaning.MOST_SUBJECTS) if values else ()


def _language(values: Any) -> str | None:
    """The last part of the first key, which may be bare: `[{"key": "/languages/eng"}]`."""
    for value in values if isinstance(values, list) else ():
        key = value.get("key") if isinstance(value, dict) else value
        if isinstance(key, str):
            return key.rpartition("/")[2][: cleaning.MOST_TEXT] or None
    return None


def _covers(values: Any) -> list[int]:
    return [value for value in values if is_cover(value)][:1] if isinstance(values, list) else []


def _cover_url(values: Any) -> str | None:
    return cover_url(found[0]) if values and (found := _covers(values)) else None


def _identifiers(edition: _Edition) -> dict[str, str]:
    given = cleaning.members(edition.identifiers)
    found = {ours: given.get(theirs) for theirs, ours in open_library.SYSTEMS.items()}
    found |= {"oclc": edition.oclc_numbers, "lccn": edition.lccn}
    return {system: number for system, numbers in found.items() if numbers and (number := _first(numbers))}
