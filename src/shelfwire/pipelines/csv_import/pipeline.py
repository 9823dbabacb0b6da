"""The pipeline `csv_import`: every data row of the file is an item, done or failed."""

import asyncio
from collections.abc import Iterator
from typing import Final

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.context import Job
from shelfwire.pipelines.csv_import.books import Book
from shelfwire.pipelines.csv_import.duplicates import SeenBooks
from shelfwire.pipelines.csv_import.problems import RepeatedBook, RowProblem, UnreadableCsv
from shelfwire.pipelines.csv_import.reader import BookFile, read

MAX_ROWS: Final = 100_000

Verdict = Book | tuple[RepeatedBook, Book] | RowProblem


class CsvImport:
    """Reads one input, `file`; its results are the books of `books.Book`."""

    name = "csv_import"
    results_name = "books"
    columns = tuple(field.encode_name for field in msgspec.structs.fields(Book))

    async def run(self, job: Job) -> str:
        """See `jobs.context.Pipeline`."""
        try:
            file = await asyncio.to_thread(read, await job.input("file"))
        except UnreadableCsv as error:
            raise ShelfwireError(Code.CSV_UNREADABLE, str(error), user_message=str(error)) from None
        await job.start(await _count(job, file), job.metadata)
        async for index, verdict in job.pending(verdicts(file)):
            match verdict:
                case Book(title=title, authors=authors, isbn13=isbn):
                    job.record(index, verdict, title=title, author=authors[0] if authors else None, isbn=isbn)
                case (RepeatedBook() as repeated, Book(title=title, row=row)):
                    why = ShelfwireError(Code.DUPLICATE, str(repeated), user_message=str(repeated))
                    job.fail(index, why, title=title, row=row, earlierRow=repeated.earlier_row)
                case RowProblem(row=row, title=title):
                    why = ShelfwireError(Code.ROW_INVALID, str(verdict), user_message=str(verdict))
                    job.fail(index, why, title=title or None, row=row)
        return summary(job.succeeded, job.failed)


def verdicts(file: BookFile) -> Iterator[Verdict]:
    """What becomes of each row, in the order of the file: a pure pass, the same for every attempt."""
    seen = SeenBooks()
    for raw in file.rows():
        try:
            book = file.book(raw)
        except RowProblem as problem:
            yield problem
            continue
        try:
            seen.admit(book)
        except RepeatedBook as repeated:
            yield repeated, book
        else:
            yield book


def summary(added: int, failed: int) -> str:
    """What the import came to, for a person."""
    books = f"Added {added:,} {'book' if added == 1 else 'books'} to your library"
    return books if not failed else f"{books}; {failed:,} {'row was' if failed == 1 else 'rows were'} not imported"


async def _count(job: Job, file: BookFile) -> int:
    count = 0
    async for _ in job.paced(file.rows()):
        count += 1
        if count > MAX_ROWS:
            message = f"This file has more than {MAX_ROWS:,} rows. Split it and import the parts one by one."
            raise ShelfwireError(Code.CSV_UNREADABLE, message, user_message=message)
    if count == 0:
        raise ShelfwireError(
            Code.CSV_NO_BOOKS,
            user_message="There are no books in this file, at most a header. Check that it is the right one.",
        )
    return count
