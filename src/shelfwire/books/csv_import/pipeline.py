"""The pipeline `csv_import`: every data row of the file is an item, done or failed."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.books.batch_enrichment.enricher import AT_ONCE, Enriching, enriching_of
from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.confidence import Doubt
from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.llm_rows import LlmRowReader, RowReading
from shelfwire.books.csv_import.options import NO_KEY, NO_KEY_FOR_A_PERSON, GeminiUse, ImportOptions
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem, UnreadableCsv
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline

MAX_ROWS: Final = 100_000
DECISION: Final = "gemini"
"""What is kept under this name: what Gemini is asked about, or `OFFLINE`."""
OFFLINE: Final = b"offline"
LEFT_OUT: Final = "Gemini's answer leaves the row out, or does not fit it"


class Unanswered(NamedTuple):
    """A row that Gemini had to read, and has not."""

    row: int
    error: ShelfwireError


Verdict = ImportedBook | tuple[RepeatedBook, ImportedBook] | RowProblem | Unanswered


class CsvImport(Pipeline):
    """Reads one input, `file`; its results are the books of `books.ImportedBook`.

    Unless its options say otherwise it asks Gemini, if there is one, about what `doubt_of` says is not to be read with
    confidence: about the columns of a table by a sample, about free text row by row. With the option `enrich` each
    book is looked up as well, and recorded with what was found of it.

    Args:
        outside: where Gemini is, if there is one.
    """

    name = "csv_import"
    results_name = "books"
    options = ImportOptions
    result = ImportedBook
    codes = BookCode

    def __init__(self, outside: Services | None = None) -> None:
        self._outside = outside or Services()

    def check_options(self, options: ImportOptions) -> None:
        """See `Pipeline.check_options`."""
        if options.gemini is GeminiUse.ALWAYS and self._outside.gemini is None:
            raise ShelfwireError(Code.INVALID_REQUEST, NO_KEY, user_message=NO_KEY_FOR_A_PERSON)

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        options: ImportOptions = job.options
        try:
            file = await asyncio.to_thread(BookFile, await job.input("file"))
        except UnreadableCsv as error:
            raise ShelfwireError(BookCode.CSV_UNREADABLE, str(error), user_message=str(error)) from None
        enriching = await enriching_of(job, self._outside, wanted=options.enrich)
        doubt = await self._to_ask(job, options.gemini, file)
        if doubt is None:
            await self._import(job, file, verdicts(file), enriching)
            return _joined(summary(job.succeeded, job.failed), enriching.summary if enriching else "")
        required = self._outside.gemini_required
        asking = LlmRowReader(job, self._outside.gemini, required=required)
        text = doubt is Doubt.TEXT or not await _explained(file, asking)
        if text and asking.failed is None:
            async with asking.rows(file) as readings:
                await self._import(job, file, told(file, readings, required=required), enriching)
        else:
            await self._import(job, file, verdicts(file), enriching)
        helped = help_of(asking, required=required)
        return _joined(summary(job.succeeded, job.failed), enriching.summary if enriching else "", helped)

    async def _to_ask(self, job: Job, use: GeminiUse, file: BookFile) -> Doubt | None:
        """What Gemini is asked about, if it is.

        That is decided once for a job: what an attempt or a retry takes for the first row must be so for all.

        Raises:
            ShelfwireError: `E_INVALID_REQUEST`: it must be asked, and there is no key.
        """
        if use is GeminiUse.NEVER or file.is_known_export or (use is GeminiUse.AUTO and file.doubt is None):
            return None
        if (kept := await job.kept(DECISION)) is not None:
            return None if kept == OFFLINE else Doubt(kept.decode())
        doubt = None if self._outside.gemini is None else file.doubt or Doubt.COLUMNS
        if use is GeminiUse.ALWAYS and doubt is None:
            raise ShelfwireError(Code.INVALID_REQUEST, NO_KEY, user_message=NO_KEY_FOR_A_PERSON)
        await job.keep(DECISION, OFFLINE if doubt is None else doubt.encode())
        return doubt

    @staticmethod
    async def _import(
        job: Job, file: BookFile, found: Iterable[Verdict] | AsyncIterable[Verdict], enriching: Enriching | None
    ) -> None:
        await job.start(await _count(job, file), job.metadata)
        if enriching is None:
            async for index, verdict in job.pending(found):
                _record(job, index, verdict)
            return

        async def look_up(index: int, verdict: Verdict) -> None:
            more = None
            if isinstance(verdict, ImportedBook):
                more = await enriching.look_up(index, verdict.title, verdict.authors, verdict.isbn13)
            _record(job, index, verdict, more)

        await job.each(found, look_up, AT_ONCE)


def _record(job: Job, index: int, verdict: Verdict, more: Mapping[str, Any] | None = None) -> None:
    match verdict:
        case ImportedBook(title=title, authors=authors, isbn13=isbn):
            book = verdict if more is None else {**msgspec.to_builtins(verdict), **more}
            job.record(index, book, title=title, author=authors[0] if authors else None, isbn=isbn)
        case (RepeatedBook() as repeated, ImportedBook(title=title, row=row)):
            why = ShelfwireError(BookCode.DUPLICATE, str(repeated), user_message=str(repeated))
            job.fail(index, why, title=title, row=row, earlierRow=repeated.earlier_row)
        case RowProblem(row=row, title=title):
            why = ShelfwireError(BookCode.ROW_INVALID, str(verdict), user_message=str(verdict))
            job.fail(index, why, title=title or None, row=row)
        case Unanswered(row=row, error=why):
            job.fail(index, why, row=row)


def _joined(*parts: str) -> str:
    return ". ".join(part for part in parts if part)


def verdicts(file: BookFile) -> Iterator[Verdict]:
    """What becomes of each row, in the order of the file: a pure pass, the same for every attempt."""
    seen = SeenBooks()
    for raw in file.rows():
        try:
            book = file.book(raw)
        except RowProblem as problem:
            yield problem
            continue
        yield _admitted(book, seen)


async def told(file: BookFile, readings: AsyncIterator[RowReading], *, required: bool) -> AsyncIterator[Verdict]:
    """The same of rows that Gemini has read, or should have.

    Args:
        file: the file.
        readings: of every row, in its order.
        required: whether a row without an answer fails, instead of being read without it.
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
    """What the import came to, for a person."""
    books = f"Added {added:,} {'book' if added == 1 else 'books'} to your library"
    return books if not failed else f"{books}; {failed:,} {'row was' if failed == 1 else 'rows were'} not imported"


def help_of(asking: LlmRowReader, *, required: bool) -> str:
    """What Gemini's help came to, for a person."""
    rows = f"{asking.unanswered:,} {'row' if asking.unanswered == 1 else 'rows'}"
    parts = []
    if asking.failed is not None:
        what = f"{rows} were read without it" if asking.unanswered else "the columns were guessed"
        missing = f"Gemini was not available ({asking.failed.code})"
        parts.append(f"{missing} for {rows}" if required else f"{missing}: {what}")
    elif asking.unanswered:
        parts.append(f"Gemini had no answer for {rows}")
    if asking.usage.total:
        parts.append(f"Gemini used {asking.usage.total:,} tokens")
    return "; ".join(parts)


async def _explained(file: BookFile, asking: LlmRowReader) -> bool:
    """Whether it is known what the columns of a table hold; not if the rows are free text after all."""
    answer = await asking.columns(file)
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
