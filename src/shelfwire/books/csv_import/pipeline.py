"""The pipeline `csv_import`: every data row of the file is an item, done or failed."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from shelfwire.books.batch_enrichment.enricher import AT_ONCE, Enriching, enriching_of
from shelfwire.books.bibliography.corrections import BookCorrection, with_corrections
from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.confidence import Doubt
from shelfwire.books.csv_import.imported_book import ImportedBook, ImportPlan, RowFailure
from shelfwire.books.csv_import.llm_rows import LlmRowReader
from shelfwire.books.csv_import.mending import MendedRows, RowMending
from shelfwire.books.csv_import.options import Duplicates, GeminiUse, ImportOptions
from shelfwire.books.csv_import.original_rows import OriginalRows
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem, UnreadableCsv
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.csv_import.row_cells import shown_cells
from shelfwire.books.csv_import.summaries import llm_summary, plan_summary, summary
from shelfwire.books.csv_import.survey import Survey
from shelfwire.books.csv_import.unpacking import opened
from shelfwire.books.csv_import.verdicts import Unanswered, Verdict, llm_verdicts, verdicts
from shelfwire.books.services import Services
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import MENDED, OriginalTable, Pipeline, mended_of
from shelfwire.jobs.store import Item

MAX_ROWS: Final = 100_000
ORIGINALS_AT_ONCE: Final = 2
"""Files that are opened again at a time: a token's holder may ask for original rows as often as they like."""
DECISION: Final = "gemini"
"""The key under which a job keeps what Gemini is asked about: a `Doubt`, or `OFFLINE`."""
OFFLINE: Final = b"offline"
_decode_book: Final = msgspec.json.Decoder(ImportedBook).decode
NO_KEY: Final = (
    "Gemini is to read the list, and the server has no key for it: set GEMINI_API_KEY, or leave the option out"
)
NO_KEY_FOR_A_PERSON: Final = (
    "This service cannot ask Gemini. Import the list without it, or ask the operator to set it up."
)


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
    mending = RowMending
    correction = BookCorrection
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
        options: ImportOptions = job.options
        file, note = await _opened(await job.input("file"), options.columns)
        mended = mended_of(await job.input(MENDED), RowMending)
        importing = _Importing(job, file, mended, await enriching_of(job, self._services))
        doubt = await self._doubt_for_gemini(job, file)
        helped = ""
        if doubt is None:
            await importing.run()
        else:
            helped = await self._import_with_gemini(importing, doubt)
        enriched = importing.enriching.summary if importing.enriching else ""
        parts = (summary(job.succeeded, job.failed), note, importing.notes, enriched, helped)
        return ". ".join(filter(None, parts))

    async def original(self, read: Callable[[str], Awaitable[bytes]]) -> OriginalTable:
        """See `Pipeline.original`."""
        async with self._opening:
            file, _ = await _opened(await read("file"), {})
        return OriginalRows(file)

    def corrected(self, item: Item, corrections: Sequence[BookCorrection]) -> Item | None:
        """See `Pipeline.corrected`."""
        return with_corrections(item, corrections, _decode_book)

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

    async def _import_with_gemini(self, importing: "_Importing", doubt: Doubt) -> str:
        """Import with the help of Gemini, and return what came of that, for a person."""
        required = self._services.gemini_required
        job, file = importing.job, importing.file
        reader = LlmRowReader(job, self._services.gemini, required=required)
        is_text = doubt is Doubt.TEXT or not await _explain_columns(file, reader)
        if is_text and reader.failed is None:
            async with reader.rows(file) as readings:
                keep = importing.keep_duplicates
                await importing.run(llm_verdicts(file, readings, required=required, keep_duplicates=keep))
        else:
            await importing.run()
        return llm_summary(reader, required=required)

    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        """See `Pipeline.fold`: beside the books, how the file was read, which the first row has with it."""
        plan = next((plan for item in items if (plan := plan_of(item.body)) is not None), None)
        found = {self.results_name: [item.body for item in items if item.ok]}
        if plan is None:
            return found
        return {**found, "plan": plan, "unusedColumns": plan.unused_columns}


async def _opened(data: bytes, columns: Mapping[str, str]) -> tuple[BookFile, str]:
    """The list in a file, and what a person should know of how it was found.

    Args:
        data: the file.
        columns: what a person says of its columns.

    Raises:
        ShelfwireError: `E_CSV_UNREADABLE`.
    """
    try:
        unpacked = await opened(data)
        file = await asyncio.to_thread(BookFile, unpacked.data)
        file.correct(columns)
    except UnreadableCsv as error:
        raise ShelfwireError(BookCode.CSV_UNREADABLE, str(error), user_message=str(error)) from None
    return file, unpacked.note


class _Planned(msgspec.Struct):
    """What of an item's body is looked at."""

    plan: ImportPlan | None = None


_PLAN: Final = b'"plan":{'


def plan_of(body: bytes | msgspec.Raw) -> ImportPlan | None:
    """The plan in an item's body, if the item is the one that has it."""
    data = bytes(body)
    return msgspec.json.decode(data, type=_Planned).plan if _PLAN in data else None


class _Importing:
    """One attempt at importing a file.

    Args:
        job: the job.
        file: its file.
        mended: its rows that a person has mended, by index.
        enriching: how its books are looked up, if they are.

    Attributes:
        notes: what a person should know of how the file was read.
    """

    def __init__(self, job: Job, file: BookFile, mended: Mapping[int, RowMending], enriching: Enriching | None) -> None:
        options: ImportOptions = job.options
        self.job = job
        self.file = file
        self.mended = mended
        self.enriching = enriching
        self.keep_duplicates = options.duplicates is Duplicates.KEEP
        self.notes = ""

    async def run(self, found: AsyncIterable[Verdict] | None = None) -> None:
        """Import the rows.

        Args:
            found: what becomes of them; None to decide that here.
        """
        job, enriching = self.job, self.enriching
        survey = await _surveyed(job, self.file, keep_duplicates=self.keep_duplicates)
        plan = self.file.plan(survey.unused)
        # What was guessed of a list is of no concern where Gemini has read its rows.
        self.notes = plan_summary(plan if found is None else msgspec.structs.replace(plan, warnings=()))
        await job.start(survey.count, job.metadata)
        rows = verdicts(self.file, survey) if found is None else found
        if self.mended:
            rows = await self._with_mended(rows)
        # The first item of the job has the plan, and in every attempt it is the same one.
        bearer = 0 if job.succeeded or job.failed else None
        if enriching is None:
            async for index, verdict in job.pending(rows):
                _record(job, self.file, index, verdict, plan if bearer in (None, index) else None)
                bearer = 0 if bearer is None else bearer
            return

        async def look_up(index: int, verdict: Verdict) -> None:
            nonlocal bearer
            shown = plan if bearer in (None, index) else None
            bearer = 0 if bearer is None else bearer
            if isinstance(verdict, ImportedBook):
                more = await enriching.look_up(index, verdict.title, verdict.authors, verdict.isbn13)
                verdict = msgspec.structs.replace(verdict, **more)
            _record(job, self.file, index, verdict, shown)

        await job.each(rows, look_up, AT_ONCE)

    async def _with_mended(self, rows: Iterable[Verdict] | AsyncIterable[Verdict]) -> Iterator[Verdict]:
        mended = MendedRows(self.file, self.mended, keep_duplicates=self.keep_duplicates)
        decided = [verdict async for verdict in self.job.paced(rows)]
        async for _ in self.job.paced(mended.steps(decided)):
            pass
        return mended.applied(decided)


def _record(job: Job, file: BookFile, index: int, verdict: Verdict, plan: ImportPlan | None) -> None:
    match verdict:
        case ImportedBook(title=title, authors=authors, isbn13=isbn):
            if plan is not None:
                verdict = msgspec.structs.replace(verdict, plan=plan)
            job.record(index, verdict, title=title, author=authors[0] if authors else None, isbn=isbn)
        case (RepeatedBook() as repeated, ImportedBook(title=title, row=row)):
            error = ShelfwireError(BookCode.DUPLICATE, str(repeated), user_message=str(repeated))
            job.fail(
                index, error, title=title, **_members(RowFailure(row=row, earlier_row=repeated.earlier_row, plan=plan))
            )
        case RowProblem(row=row, title=title):
            error = ShelfwireError(BookCode.ROW_INVALID, str(verdict), user_message=str(verdict))
            failure = _mendable(file, row, verdict.raw, plan, verdict.field)
            job.fail(index, error, title=title or None, **_members(failure))
        case Unanswered(raw=raw, error=error):
            job.fail(index, error, **_members(_mendable(file, raw.row, raw, plan)))


def _mendable(file: BookFile, row: int, raw: RawRow | None, plan: ImportPlan | None, field: str = "") -> RowFailure:
    """The members of a failed row that a person may mend."""
    shown = shown_cells(file.column_names, () if raw is None else file.text_of(raw))
    column = file.column_holding(field)
    return RowFailure(
        row=row,
        cells=shown.cells or None,
        clipped=shown.clipped,
        field=column if column in shown.cells else None,
        plan=plan,
    )


def _members(failure: RowFailure) -> Mapping[str, Any]:
    members: Mapping[str, Any] = msgspec.to_builtins(failure)
    return members


async def _explain_columns(file: BookFile, reader: LlmRowReader) -> bool:
    """Learn what the columns of a table hold. False if the rows are free text after all."""
    answer = await reader.columns(file)
    if answer is None or not answer.fields:
        return False
    file.explain(answer.fields, header=answer.header)
    return True


async def _surveyed(job: Job, file: BookFile, *, keep_duplicates: bool) -> Survey:
    survey = Survey(file, keep_duplicates=keep_duplicates)
    async for _ in job.paced(survey.steps()):
        if survey.count > MAX_ROWS:
            message = f"This file has more than {MAX_ROWS:,} rows. Split it and import the parts one by one."
            raise ShelfwireError(BookCode.CSV_UNREADABLE, message, user_message=message, details={"limit": MAX_ROWS})
    if survey.count == 0:
        raise ShelfwireError(
            BookCode.CSV_NO_BOOKS,
            user_message="There are no books in this file, at most a header. Check that it is the right one.",
        )
    return survey
