"""One look over the whole file before its rows are imported: how many, what is not used, what may repeat."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.duplicates import settled
from shelfwire.books.csv_import.imported_book import ImportedBook, UnusedColumn
from shelfwire.books.csv_import.joined_titles import TITLES
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow

_ISBN_FIELDS: Final = frozenset({"isbn13", "isbn", "isbn_or_storygraph"})
_STEP: Final = 16
"""Rows between two turns for others."""
_ISBN_13: Final = 13
_FEWEST_DIGITS: Final = 9
_MAX_EXAMPLE: Final = 60


class Survey:
    """Looks at every row once, cheaply, and again at those that may be of one book with another.

    It is pure, so that every attempt at a job decides alike. Drive `steps` to its end first.

    Args:
        file: the file; its columns are settled.
        keep_duplicates: whether rows may repeat a book.

    Attributes:
        count: the number of rows.
        verdicts: by row number, what becomes of the rows that share their book with another.
    """

    def __init__(self, file: BookFile, *, keep_duplicates: bool = False) -> None:
        self._file = file
        self._keep = keep_duplicates
        self._unseen = list(file.unused)
        self._examples: dict[int, str] = {}
        self._headings: list[tuple[int, str]] = []
        first: dict[str, int] = {}
        for index, field in file.fields:
            first.setdefault("title" if field in TITLES else "author" if "author" in field else field, index)
        self._title, self._author = first.get("title"), first.get("author")
        self._isbns = [index for field, index in first.items() if field in _ISBN_FIELDS]
        self.count = 0
        self.verdicts: Mapping[int, ImportedBook | RepeatedBook] = {}

    def steps(self) -> Iterator[None]:
        """Do it, some rows at a time."""
        file, width = self._file, len(self._file.columns)
        names, numbers = array("q"), array("q")
        add_name, add_number = names.append, numbers.append
        unsettled: Mapping[int, set[str]] = {index: set() for index in file.unsettled}
        for raw in self._headings_noted(file.rows()) if file.may_have_headings else file.rows():
            self.count += 1
            if len(raw.cells) == width:
                if self._unseen:
                    self._look(raw.cells)
                for index, cells in unsettled.items():
                    cells.add(raw.cells[index])
                name, number = self._keys(raw.cells)
            else:
                name, number = self._keys_of_ragged(raw)
            add_name(name)
            add_number(number)
            if not self.count % _STEP:
                yield
        if unsettled or self._headings:
            file.settle(unsettled, self._headings)
        yield  # whoever drives it looks at the count once more
        if self._keep:
            return
        repeated = _repeated(names) | _repeated(numbers)
        if repeated:
            pairs = enumerate(zip(names, numbers, strict=True))
            shared = {place for place, (name, number) in pairs if name in repeated or number in repeated}
            for verdicts in settled(self._books(shared)):
                self.verdicts = verdicts
                yield

    @property
    def unused(self) -> tuple[UnusedColumn, ...]:
        """The columns that hold something and are not used, in the order of the file."""
        names = self._file.column_names
        return tuple(
            UnusedColumn(column=names[index], example=self._examples[index]) for index in sorted(self._examples)
        )

    def _books(self, shared: set[int]) -> Iterator[ImportedBook | None]:
        for place, raw in enumerate(self._file.rows()):
            if place not in shared:
                if not place % _STEP:
                    yield None
                continue
            try:
                yield self._file.book(raw)
            except RowProblem:
                yield None

    def _headings_noted(self, rows: Iterable[RawRow]) -> Iterator[RawRow]:
        for raw in rows:
            if heading := self._file.heading_of(raw):
                self._headings.append((raw.row, heading))
            yield raw

    def _look(self, cells: Sequence[str]) -> None:
        found = [index for index in self._unseen if (cell := cells[index]) and _says_something(cell)]
        for index in found:
            self._examples[index] = " ".join(cells[index].split())[:_MAX_EXAMPLE]
            self._unseen.remove(index)

    def _keys(self, cells: Sequence[str]) -> tuple[int, int]:
        """Two numbers of a row: rows of one book share at least one of them, other rows hardly ever."""
        name = number = 0
        if self._title is not None and (title := cells[self._title]):
            author = 0 if self._author is None else _letters(cells[self._author])
            name = hash((text_key(title), author))
        for index in self._isbns:
            if cell := cells[index]:
                number = hash(cell[3:12] if len(cell) == _ISBN_13 and cell.isdecimal() else _core(cell))
                break
        return name, number

    def _keys_of_ragged(self, raw: RawRow) -> tuple[int, int]:
        try:
            book = self._file.book(raw)
        except RowProblem:
            return 0, 0
        author = _letters(book.authors[0]) if book.authors else 0
        return hash((text_key(book.title), author)), hash(_core(book.isbn13 or ""))


def _repeated(keys: Iterable[int]) -> set[int]:
    found = {key for key, count in Counter(keys).items() if count > 1}
    return found - {0, hash("")}


@lru_cache(maxsize=32_768)
def _letters(author: str) -> int:
    """A number that is the same for the letters of a name in any order: "Austen, Jane" and "Jane Austen"."""
    return sum(text_key(author).encode("utf-8", "surrogatepass")) if author else 0


def _core(cell: str) -> str:
    """The digits that an ISBN has in both of its forms; empty if there are too few."""
    digits = "".join([character for character in cell if character.isdecimal()])
    if len(digits) >= _ISBN_13:
        return digits[3:12]
    return digits[:9] if len(digits) >= _FEWEST_DIGITS else ""


def _says_something(cell: str) -> bool:
    bare = cell.strip()
    return (
        bool(bare)
        and values.yes_or_no(bare) is not False
        and not values.is_nothing(bare)
        and bare.strip("0-/.: ") != ""
    )
