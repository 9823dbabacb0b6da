"""The pipeline `csv_import`: every data row of the file is an item, done or failed."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.books.batch_enrichment.enricher import AT_ONCE, Enriching, enriching_of
from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.confidence import Doubt
from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook, RowFailure
from shelfwire.books.csv_import.llm_rows import LlmRowReader, RowReading
from shelfwire.books.csv_import.options import GeminiUse, ImportOptions
from shelfwire.books.csv_import.original_rows import OriginalRows
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem, UnreadableCsv
from shelfwire.books.csv_import.unpacking import opened
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import OriginalTable, Pipeline

MAX_ROWS: Final = 100_000
ORIGINALS_AT_ONCE: Final = 2
"""Files that are opened again at a time: a token's holder may ask for original rows as often as they like."""
DECISION: Final = "gemini"
"""The key under which a job keeps what Gemini is asked about: a `Doubt`, or `OFFLINE`."""
OFFLINE: Final = b"offline"
LEFT_OUT: Final = "Gemini's answer leaves the row out, or does not fit it"
NO_KEY: Final = (
    "Gemini is to read the list, and the server has no key for it: set GEMINI_API_KEY, or leave the option out"
)
NO_KEY_FOR_A_PERSON: Final = (
    "This service cannot ask Gemini. Import the list without it, or ask the operator to set it up."
)


class Unanswered(NamedTuple):
    """A row that Gemini had to read and did not answer."""

    row: int
    error: ShelfwireError


Verdict = ImportedBook | tuple[RepeatedBook, ImportedBook] | RowProblem | Unanswered


class CsvImport(Pipeline):
    """Imports the book list in the input `file`.

    Unless its options say otherwise it asks Gemini, if there is one, about what `doubt_of` finds uncertain: about the
    columns of a table by a sample, about free text row by row.

    Args:
        services: hold Gemini and the providers of book data, if there are any.
    """

    name = "csv_import"
    options = ImportOptions
    result = ImportedBook
    failure = RowFailure
    results_name = "books"
    codes = BookCode

    def __init__(self, services: Services | None = None) -> None:
        self._services = services or Services()
        self._opening = asyncio.Semaphore(ORIGINALS_AT_ONCE)

    def check_options(self, options: ImportOptions) -> None:
        """See `Pipeline.check_options`."""
        self._may_ask_gemini(options)

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        file, note = await _opened(await job.input("file"))
        enriching = await enriching_of(job, self._services)
        doubt = await self._doubt_for_gemini(job, file)
        helped = ""
        if doubt is None:
            await _import(job, file, verdicts(file), enriching)
        else:
            helped = await self._import_with_gemini(job, file, doubt, enriching)
        parts = (summary(job.succeeded, job.failed), note, enriching.summary if enriching else "", helped)
        return ". ".join(filter(None, parts))

    async def original(self, read: Callable[[str], Awaitable[bytes]]) -> OriginalTable:
        """See `Pipeline.original`."""
        async with self._opening:
            file, _ = await _opened(await read("file"))
        return OriginalRows(file)

    def _may_ask_gemini(self, options: ImportOptions) -> bool:
        """Whether Gemini may be asked.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: it must be asked, and there is no key.
        """
        if options.gemini is GeminiUse.ALWAYS and self._services.gemini is None:
            raise ShelfwireError(Code.INVALID_REQUEST, NO_KEY, user_message=NO_KEY_FOR_A_PERSON)
        return options.gemini is not GeminiUse.NEVER and self._services.gemini is not None

    async def _doubt_for_gemini(self, job: Job, file: BookFile) -> Doubt | None:
        """What Gemini is asked about; None if it is not asked.

        That is decided once for a job: all attempts and retries must agree on which row is the first.

        Raises:
            ShelfwireError: see `_may_ask_gemini`.
        """
        options: ImportOptions = job.options
        is_certain = options.gemini is GeminiUse.AUTO and file.doubt is None
        if options.gemini is GeminiUse.NEVER or file.is_known_export or is_certain:
            return None
        if (decided := await job.kept(DECISION)) is not None:
            return None if decided == OFFLINE else Doubt(decided.decode())
        doubt = (file.doubt or Doubt.COLUMNS) if self._may_ask_gemini(options) else None
        await job.keep(DECISION, OFFLINE if doubt is None else doubt.encode())
        return doubt

    async def _import_with_gemini(self, job: Job, file: BookFile, doubt: Doubt, enriching: Enriching | None) -> str:
        """Import with the help of Gemini, and return what came of that, for a person."""
        required = self._services.gemini_required
        reader = LlmRowReader(job, self._services.gemini, required=required)
        is_text = doubt is Doubt.TEXT or not await _explain_columns(file, reader)
        if is_text and reader.failed is None:
            async with reader.rows(file) as readings:
                await _import(job, file, llm_verdicts(file, readings, required=required), enriching)
        else:
            await _import(job, file, verdicts(file), enriching)
        return llm_summary(reader, required=required)


async def _opened(data: bytes) -> tuple[BookFile, str]:
    """The list in a file, and what a person should know of how it was found.

    Raises:
        ShelfwireError: `E_CSV_UNREADABLE`.
    """
    try:
        unpacked = await opened(data)
        return await asyncio.to_thread(BookFile, unpacked.data), unpacked.note
    except UnreadableCsv as error:
        raise ShelfwireError(BookCode.CSV_UNREADABLE, str(error), user_message=str(error)) from None


async def _import(
    job: Job, file: BookFile, found: Iterable[Verdict] | AsyncIterable[Verdict], enriching: Enriching | None
) -> None:
    await job.start(await _count(job, file), job.metadata)
    if enriching is None:
        async for index, verdict in job.pending(found):
            _record(job, index, verdict)
        return

    async def look_up(index: int, verdict: Verdict) -> None:
        if isinstance(verdict, ImportedBook):
            more = await enriching.look_up(index, verdict.title, verdict.authors, verdict.isbn13)
            verdict = msgspec.structs.replace(verdict, **more)
        _record(job, index, verdict)

    await job.each(found, look_up, AT_ONCE)


def _record(job: Job, index: int, verdict: Verdict) -> None:
    match verdict:
        case ImportedBook(title=title, authors=authors, isbn13=isbn):
            job.record(index, verdict, title=title, author=authors[0] if authors else None, isbn=isbn)
        case (RepeatedBook() as repeated, ImportedBook(title=title, row=row)):
            error = ShelfwireError(BookCode.DUPLICATE, str(repeated), user_message=str(repeated))
            job.fail(index, error, title=title, **_members(RowFailure(row=row, earlier_row=repeated.earlier_row)))
        case RowProblem(row=row, title=title):
            error = ShelfwireError(BookCode.ROW_INVALID, str(verdict), user_message=str(verdict))
            job.fail(index, error, title=title or None, **_members(RowFailure(row=row)))
        case Unanswered(row=row, error=error):
            job.fail(index, error, **_members(RowFailure(row=row)))


def _members(failure: RowFailure) -> Mapping[str, Any]:
    members: Mapping[str, Any] = msgspec.to_builtins(failure)
    return members


def verdicts(file: BookFile) -> Iterator[Verdict]:
    """What becomes of each row, in the order of the file: pure, the same for every attempt."""
    seen = SeenBooks()
    for raw in file.rows():
        try:
            book = file.book(raw)
        except RowProblem as problem:
            yield problem
            continue
        yield _admitted(book, seen)


async def llm_verdicts(
    file: BookFile, readings: AsyncIterator[RowReading], *, required: bool
) -> AsyncIterator[Verdict]:
    """What becomes of each row that Gemini has read, or should have read.

    Args:
        file: the file.
        readings: of every row, in the order of the file.
        required: whether a row without an answer fails instead of being read without it.
    """
    seen = SeenBooks()
    async for reading in readings:
        raw = reading.raw
        if required and reading.asked and not reading.answered:
            yield Unanswered(raw.row, reading.error or ShelfwireError(BookCode.GEMINI_BAD_OUTPUT, LEFT_OUT))
            continue
        try:
            book = _book_of(file, reading)
        except RowProblem as problem:
            yield problem
            continue
        yield _admitted(book, seen)


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
        seen.admit(book)
    except RepeatedBook as repeated:
        return repeated, book
    return book


def summary(added: int, failed: int) -> str:
    """The outcome of the import, for a person."""
    books = f"Imported {added:,} {'book' if added == 1 else 'books'}"
    return books if not failed else f"{books}; {failed:,} {'row was' if failed == 1 else 'rows were'} not imported"


def llm_summary(reader: LlmRowReader, *, required: bool) -> str:
    """The outcome of Gemini's help, for a person."""
    rows = f"{reader.unanswered:,} {'row' if reader.unanswered == 1 else 'rows'}"
    parts = []
    if reader.failed is not None:
        consequence = f"{rows} were read without it" if reader.unanswered else "the columns were guessed"
        missing = f"Gemini was not available ({reader.failed.code})"
        parts.append(f"{missing} for {rows}" if required else f"{missing}: {consequence}")
        if reader.failed.code == BookCode.GEMINI_REJECTED:
            parts.append(reader.failed.message)
    elif reader.unanswered:
        parts.append(f"Gemini had no answer for {rows}")
    if reader.usage.total:
        parts.append(f"Gemini used {reader.usage.total:,} tokens")
    return "; ".join(parts)


async def _explain_columns(file: BookFile, reader: LlmRowReader) -> bool:
    """Learn what the columns of a table hold. False if the rows are free text after all."""
    answer = await reader.columns(file)
    if answer is None or not answer.fields:
        return False
    file.explain(answer.fields, header=answer.header)
    return True


async def _count(job: Job, file: BookFile) -> int:
    count = 0
    async for _ in job.paced(file.rows()):
        count += 1
        if count > MAX_ROWS:
            message = f"This file has more than {MAX_ROWS:,} rows. Split it and import the parts one by one."
            raise ShelfwireError(BookCode.CSV_UNREADABLE, message, user_message=message)
    if count == 0:
        raise ShelfwireError(
            BookCode.CSV_NO_BOOKS,
            user_message="There are no books in this file, at most a header. Check that it is the right one.",
        )
    return count
