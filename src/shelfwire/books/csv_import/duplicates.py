"""Which rows repeat a book that an earlier row had: only those that nothing tells apart from it."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from shelfwire.books.bibliography.text import KEY_SEPARATOR, text_key
from shelfwire.books.bibliography.titles import compared, numbers_agree, title_key, title_of
from shelfwire.books.csv_import.imported_book import ImportedBook, Read
from shelfwire.books.csv_import.problems import RepeatedBook
from shelfwire.books.csv_import.reading_life import merged, with_own

_EDITION: Final = ("volume", "edition", "format", "year", "original_year", "language", "series", "subtitle")
"""Members that two editions differ in; where only one row has them they tell nothing."""
_OWN: Final = ("rating", "review", "notes", "shelf")
"""Members of the reader's own, of which a book has one."""
_OF_A_ROW: Final = frozenset({"calibre", "zotero"})
"""Systems whose numbers differ with every row, whatever the book."""
_ADDED_UP: Final = frozenset(
    {"row", "warnings", "reads", "dates_read", "date_read", "date_started", "date_added", "tags", "identifiers"}
    | {"other_isbns", "title", "authors", "plan", "isbn_as_given"}
)


class SeenBooks:
    """The books of a file so far.

    A row repeats an earlier book if it has the same ISBN-13 under the same title, or the same title and authors but for
    case, accents, punctuation and spaces, and nothing tells the two apart: no other ISBN, volume, edition, format, year
    or number of a catalogue. A book without authors is only ever the same as another without. Rows are shown in the
    file's order, so that an import that is taken up again decides as the first one did.
    """

    def __init__(self) -> None:
        # Digests are of 64 bits, the same in every process: among 100,000 books the chance that any two collide is 3 in
        # ten thousand million. An ISBN is below 10**13 and so are next to no digests: both kinds share a table.
        self._books: dict[int, list[ImportedBook]] = {}

    def admit(self, book: ImportedBook) -> ImportedBook:
        """Remember a book, and return it: with a warning where another row seems to have the same.

        Raises:
            RepeatedBook: An earlier row had it, and says all that this one does; nothing is remembered then.
        """
        earlier, note = self.find(book)
        if earlier is not None:
            more = combined(earlier, book)
            if more is not None and more == earlier:
                raise RepeatedBook(row=book.row, earlier_row=earlier.row)
            note = _both_kept(earlier, book)
        if note:
            book = _with_warning(book, note)
        self.remember(book)
        return book

    def find(self, book: ImportedBook) -> tuple[ImportedBook | None, str | None]:
        """The earlier row that has the same book; and what to say of one that is like it and another book."""
        found: list[ImportedBook] = []
        note = None
        found += [other for other in self._books.get(_digest(_name(book)), ()) if not _told_apart(other, book)]
        for other in self._books.get(int(book.isbn13), ()) if book.isbn13 else ():
            if not _is_one_title(other, book):
                note = f"Row {other.row} has the same ISBN with another title; both were kept."
            elif not _told_apart(other, book):
                found.append(other)
        return min(found, key=lambda other: other.row, default=None), note

    def remember(self, book: ImportedBook) -> None:
        """Let later rows be compared with a book."""
        self._books.setdefault(_digest(_name(book)), []).append(book)
        if book.isbn13:
            self._books.setdefault(int(book.isbn13), []).append(book)

    def replace(self, book: ImportedBook, more: ImportedBook) -> None:
        """Compare later rows with `more` in place of a book."""
        for key in (_digest(_name(book)), int(book.isbn13 or 0)):
            self._books[key] = [more if other is book else other for other in self._books.get(key, ())]
        if more.isbn13 and not book.isbn13:
            self._books.setdefault(int(more.isbn13), []).append(more)


def settled(books: Iterator[ImportedBook | None]) -> Iterator[Mapping[int, ImportedBook | RepeatedBook]]:
    """Decide over the rows of a file that may be of one book with another; the last mapping is the decision.

    It is the same in every attempt: a book takes over what later rows of it say more, such as the dates of another
    read; a row that says something else of the same book is kept as a book of its own.

    Args:
        books: the books in the order of the file; None takes up time only.

    Yields:
        By row number, the book as it is imported, or why it is not.
    """
    seen = SeenBooks()
    verdicts: dict[int, ImportedBook | RepeatedBook] = {}
    for book in books:
        if book is not None:
            _settle(book, seen, verdicts)
        yield verdicts
    yield verdicts


def _settle(book: ImportedBook, seen: SeenBooks, verdicts: dict[int, ImportedBook | RepeatedBook]) -> None:
    earlier, note = seen.find(book)
    more = None if earlier is None else combined(earlier, book)
    if earlier is None or more is None:
        if earlier is not None:
            note = _both_kept(earlier, book)
        verdicts[book.row] = kept = _with_warning(book, note) if note else book
        seen.remember(kept)
        return
    added = "" if more == earlier else _what_was_added(earlier, book)
    verdicts[book.row] = RepeatedBook(row=book.row, earlier_row=earlier.row, added=added)
    if added:
        more = _with_warning(
            more, f"Row {book.row} is the same book; {added} went here.{_what_was_left(earlier, book)}"
        )
        verdicts[earlier.row] = more
        seen.replace(earlier, more)


def combined(first: ImportedBook, later: ImportedBook) -> ImportedBook | None:
    """One book of two rows, with all that they say; None if they contradict each other about the reader.

    A read of its own explains another rating and review: they go with that read. It is `first` itself if `later` adds
    nothing.
    """
    is_another_read = bool(later.reads) and not set(later.reads) <= {_bare(read) for read in first.reads}
    changes: dict[str, Any] = {}
    for member in _OWN:
        here, there = getattr(first, member), getattr(later, member)
        if there is None or here == there:
            continue
        if here is not None and not (is_another_read and member in ("rating", "review")):
            return None
        if here is None or member == "review":
            changes[member] = there if here is None else f"{here}\n\n{there}"
    changes |= _filled(first, later)
    if is_another_read:
        changes |= _all_reads(first, later)
    tags = tuple(dict.fromkeys((*first.tags, *later.tags)))
    if len(tags) > len(first.tags):
        changes["tags"] = tags
    return msgspec.structs.replace(first, **changes) if changes else first


def _filled(first: ImportedBook, later: ImportedBook) -> dict[str, Any]:
    """What only the later row says of the edition."""
    known = {member: getattr(later, member) for member in first.__struct_fields__ if member not in _ADDED_UP}
    filled = {
        member: value
        for member, value in known.items()
        if member not in _OWN and value is not None and getattr(first, member) is None
    }
    identifiers = {system: number for system, number in later.identifiers.items() if system not in first.identifiers}
    if later.authors and not first.authors:
        filled["authors"] = later.authors
    if identifiers:
        filled["identifiers"] = first.identifiers | identifiers
    if later.date_added and (not first.date_added or later.date_added < first.date_added):
        filled["date_added"] = later.date_added
    return filled


def _all_reads(first: ImportedBook, later: ImportedBook) -> dict[str, Any]:
    """The reads of both rows, each with its row's rating and review where those differ."""
    differ = any(
        getattr(first, member) != getattr(later, member) and getattr(later, member) is not None
        for member in ("rating", "review")
    )
    both = [
        with_own(read, book.rating, book.review) if differ and (read.rating, read.review) == (None, None) else read
        for book in (first, later)
        for read in book.reads
    ]
    reads = merged(both)
    finished = tuple(read.finished for read in reads if read.finished)
    rated = [read.rating for read in reads if read.rating is not None]
    changes = {
        "reads": reads,
        "dates_read": finished,
        "date_read": finished[-1] if finished else None,
        "date_started": reads[-1].started,
    }
    # A mark without a date stays that of the book.
    return changes | ({"rating": rated[-1]} if rated and (first.reads or first.rating is None) else {})


def _bare(read: Read) -> Read:
    return with_own(read, None, None)


def _what_was_added(first: ImportedBook, later: ImportedBook) -> str:
    reads = set(later.reads) - {_bare(read) for read in first.reads}
    days = [day for read in reads if (day := read.finished or read.stopped or read.started)]
    return f"its dates ({', '.join(sorted(days))})" if days else "what it says more"


def _what_was_left(first: ImportedBook, later: ImportedBook) -> str:
    """Say which of two dates of being added was left out: the later one, which may be that of a return."""
    dates = {first.date_added, later.date_added} - {None}
    return f" Of its dates of being added {max(filter(None, dates))} was left out." if len(dates) > 1 else ""


def _both_kept(earlier: ImportedBook, book: ImportedBook) -> str:
    member = next(
        (
            member
            for member in _OWN
            if None not in (getattr(earlier, member), getattr(book, member))
            and getattr(earlier, member) != getattr(book, member)
        ),
        "other details",
    )
    what = member if member == "other details" else f"another {member.removesuffix('s')}"
    return f"Row {earlier.row} seems to have the same book with {what}; both were kept."


def _with_warning(book: ImportedBook, warning: str) -> ImportedBook:
    return msgspec.structs.replace(book, warnings=(*book.warnings, warning))


def _told_apart(one: ImportedBook, other: ImportedBook) -> bool:
    """Whether anything says that two rows are of different editions."""
    if one.isbn13 and other.isbn13 and {one.isbn13, *one.other_isbns}.isdisjoint({other.isbn13, *other.other_isbns}):
        return True
    if one.isbn_as_given and other.isbn_as_given and one.isbn_as_given != other.isbn_as_given:
        return True
    for member in _EDITION:
        here, there = getattr(one, member), getattr(other, member)
        if here is not None and there is not None and here != there and _key(here) != _key(there):
            return True
    if one.isbn13 and one.isbn13 == other.isbn13:
        return False  # a catalogue may have one edition under two numbers
    return any(
        number != other.identifiers.get(system, number) and system not in _OF_A_ROW
        for system, number in one.identifiers.items()
    )


def _key(value: object) -> str:
    return text_key(str(value))


def _is_one_title(one: ImportedBook, other: ImportedBook) -> bool:
    """Whether two titles under one ISBN are of one book, and not of volumes that share the number of their set."""
    if one.title == other.title or any(book.title == book.isbn13 for book in (one, other)):
        return True
    names = [title_of(book.title, None) for book in (one, other)]
    here, there = (compared(*name) for name in names)
    if not numbers_agree(here, there):
        return False
    return here.whole == there.whole or (here.main == there.main and not (here.rest and there.rest))


def _name(book: ImportedBook) -> str:
    key = title_key(KEY_SEPARATOR.join((book.title, *book.authors)))
    # A title of nothing but punctuation would leave the authors alone.
    return key if key[0] != KEY_SEPARATOR else KEY_SEPARATOR.join((book.title, *book.authors))


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
