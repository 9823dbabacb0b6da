"""What becomes of each row of a file: pure, the same in every attempt at a job."""

from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.llm_rows import RowReading
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.csv_import.survey import Survey
from shelfwire.errors import ShelfwireError

LEFT_OUT: Final = "Gemini's answer leaves the row out, or does not fit it"


class Unanswered(NamedTuple):
    """A row that Gemini had to read and did not answer."""

    raw: RawRow
    error: ShelfwireError


Verdict = ImportedBook | tuple[RepeatedBook, ImportedBook] | RowProblem | Unanswered


def verdicts(file: BookFile, survey: Survey | None = None) -> Iterator[Verdict]:
    """What becomes of each row, in the order of the file: pure, the same for every attempt.

    Args:
        file: the file.
        survey: of the same file, done; None to do it now.
    """
    if survey is None:
        survey = Survey(file)
        for _ in survey.steps():
            pass
    decided = survey.verdicts
    for raw in file.rows():
        settled = decided.get(raw.row) if decided else None
        if settled is not None and isinstance(settled, ImportedBook):
            yield settled
            continue
        try:
            book = file.book(raw)
        except RowProblem as problem:
            problem.raw = raw
            yield problem
            continue
        yield book if settled is None else (settled, book)


async def llm_verdicts(
    file: BookFile, readings: AsyncIterator[RowReading], *, required: bool, keep_duplicates: bool = False
) -> AsyncIterator[Verdict]:
    """What becomes of each row that Gemini has read, or should have read.

    Args:
        file: the file.
        readings: of every row, in the order of the file.
        required: whether a row without an answer fails instead of being read without it.
        keep_duplicates: whether rows may repeat a book.
    """
    seen = SeenBooks()
    async for reading in readings:
        raw = reading.raw
        if required and reading.asked and not reading.answered:
            yield Unanswered(raw, reading.error or ShelfwireError(BookCode.GEMINI_BAD_OUTPUT, LEFT_OUT))
            continue
        try:
            book = _book_of(file, reading)
        except RowProblem as problem:
            problem.raw = raw
            yield problem
            continue
        yield book if keep_duplicates else _admitted(book, seen)


def _book_of(file: BookFile, reading: RowReading) -> ImportedBook:
    if not reading.answered:
        return file.book(reading.raw)
    row, book = reading.raw.row, reading.book
    if book is None:
        raise RowProblem(f"Row {row} names no book. Write its title there and import the file again.", row=row)
    cells = {"title": book.title, "author": "; ".join(book.authors), "isbn": book.isbn}
    cells |= {"publisher": book.publisher, "year": book.year}
    return file.compose(row, ((field, cell) for field, cell in cells.items() if cell))


def _admitted(book: ImportedBook, seen: SeenBooks) -> Verdict:
    try:
        return seen.admit(book)
    except RepeatedBook as repeated:
        return repeated, book
