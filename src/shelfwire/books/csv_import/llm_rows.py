"""Asks Gemini about a list, never twice: every answer that was paid for is kept with the job before it is used.

What Gemini has failed at is kept too, so that an attempt after a crash decides every row as the one before it did. A
retry is a new job and asks for these again.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.reader import BookFile
from shelfwire.books.csv_import.rows import RawRow
from shelfwire.books.gemini.adapter import Gemini
from shelfwire.books.gemini.answers import GeminiError, Usage
from shelfwire.books.gemini.rows import MOST_ROW, ColumnsAnswer, RowBook, RowText, text_of_row
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job

CHUNK_ROWS: Final = 40
CHUNK_CHARACTERS: Final = 12_000
LEAST_SPLIT: Final = 10
"""A chunk of more rows is asked about again in halves where one of its rows may have spoilt the whole answer."""
MOST_BARREN: Final = 3
"""After so many chunks in a row that came to nothing, the rest of the list is not asked about."""
MOST_SHOWN: Final = 200
"""Characters of a row that is under way."""
_SPOILT: Final = frozenset({BookCode.GEMINI_BAD_OUTPUT, BookCode.GEMINI_REJECTED})


class _Kept(msgspec.Struct, omit_defaults=True):
    """An answer as it is kept with the job.

    Attributes:
        job: whose it is: what a retry takes over from an earlier job costs nothing, and is asked again where it failed.
        usage: what it cost.
        columns: what was said of the columns.
        books: what was said of rows.
        code: why nothing was said, or not of all rows.
        message: likewise, for a developer.
    """

    job: str
    usage: Usage
    columns: ColumnsAnswer | None = None
    books: dict[int, RowBook | None] = {}
    code: str | None = None
    message: str = ""


class Reading(NamedTuple):
    """What is known of one row.

    Attributes:
        raw: the row.
        asked: whether Gemini was.
        answered: whether it has said something that can be believed.
        book: the book it has found; None if it says that there is none.
        error: why it has not answered, where there is a reason beyond this row.
    """

    raw: RawRow
    asked: bool = False
    answered: bool = False
    book: RowBook | None = None
    error: ShelfwireError | None = None


class Asking:
    """What one attempt at a job asks Gemini.

    Args:
        job: the job.
        gemini: is asked; None where there is none any more, so that only what is kept counts.
        required: whether nothing else may take the place of its answers.

    Attributes:
        usage: tokens that the job has used, those of earlier attempts included.
        unanswered: rows for which there was no answer.
        failed: why, if it was not these rows' own fault.
    """

    def __init__(self, job: Job, gemini: Gemini | None, *, required: bool) -> None:
        self._job = job
        self._gemini = gemini
        self._required = required
        at_once = 1 if gemini is None else gemini.at_once
        self._window = 2 * at_once
        self._room = asyncio.Semaphore(at_once)
        self._barren = 0
        self.usage = Usage()
        self.unanswered = 0
        self.failed: ShelfwireError | None = None

    async def columns(self, file: BookFile) -> ColumnsAnswer | None:
        """What the columns of a table hold; None if Gemini does not say.

        Call it before the job starts: the first row may turn out to be no item.

        Raises:
            GeminiError: Gemini does not say, and nothing else may take the place of its answer.
        """
        sample = file.sample()
        name = _name("columns", sample)
        kept = await self._kept(name)
        if kept is None:
            try:
                answer = await self._asked().read_columns(sample, len(file.columns))
                kept = _Kept(self._job.id, answer.usage, columns=answer)
            except GeminiError as error:
                if self._required:
                    raise
                kept = _Kept(self._job.id, error.usage, code=error.code, message=error.message)
            await self._keep(name, kept)
        self._count(kept)
        if kept.code is not None:
            self.failed = ShelfwireError(kept.code, kept.message)
        return kept.columns

    @asynccontextmanager
    async def readings(self, file: BookFile) -> AsyncIterator[AsyncIterator[Reading]]:
        """Ask about the rows of a file, several chunks at a time, until the context ends.

        Gives an iterator over all rows in the order of the file.
        """
        tasks: deque[asyncio.Task[list[Reading]]] = deque()
        try:
            yield self._in_order(file, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_order(self, file: BookFile, tasks: deque[asyncio.Task[list[Reading]]]) -> AsyncIterator[Reading]:
        for chunk in _chunks(file):
            tasks.append(asyncio.create_task(self._read(file, chunk)))
            if len(tasks) >= self._window:
                for reading in await self._next(tasks):
                    yield reading
        while tasks:
            for reading in await self._next(tasks):
                yield reading

    async def _next(self, tasks: deque[asyncio.Task[list[Reading]]]) -> list[Reading]:
        readings = await tasks[0]  # not taken off before it is done: who closes the context ends what is left
        tasks.popleft()
        return readings

    async def _read(self, file: BookFile, chunk: Sequence[RawRow]) -> list[Reading]:
        asked = [RowText(raw.row, file.text_of(raw)) for raw in chunk if raw.problem is None]
        async with self._room:  # in the order of the file: nobody waits for the last chunk before the first
            kept = await self._answer(asked) if asked else None
        error = None if kept is None or kept.code is None else ShelfwireError(kept.code, kept.message)
        return [_reading(raw, kept, error) for raw in chunk]

    async def _answer(self, asked: Sequence[RowText]) -> _Kept:
        name = _name("rows", asked)
        kept = await self._kept(name)
        if kept is None or (kept.code is not None and kept.job != self._job.id):
            kept = await self._ask(asked)
            await self._keep(name, kept)
        self._count(kept)
        missing = sum(row.row not in kept.books for row in asked)
        self.unanswered += missing
        if kept.code is not None and missing:
            self.failed = ShelfwireError(kept.code, kept.message)
        self._barren = 0 if kept.books else self._barren + 1
        return kept

    async def _ask(self, asked: Sequence[RowText]) -> _Kept:
        if self._barren >= MOST_BARREN and self.failed is not None:
            return _Kept(self._job.id, Usage(), code=self.failed.code, message=self.failed.message)
        self._job.show(text_of_row(asked[0].cells)[:MOST_SHOWN])
        try:
            answer = await self._asked().read_rows(asked)
        except GeminiError as error:
            if error.code in _SPOILT and not error.hopeless and len(asked) > LEAST_SPLIT:
                return await self._in_halves(asked, error)
            if error.hopeless:
                self._barren, self.failed = MOST_BARREN, error
            return _Kept(self._job.id, error.usage, code=error.code, message=error.message)
        return _Kept(self._job.id, answer.usage, books=answer.books)

    def _asked(self) -> Gemini:
        if self._gemini is None:
            raise GeminiError(BookCode.GEMINI_UNAVAILABLE, "The server has no key for Gemini any more", hopeless=True)
        return self._gemini

    async def _in_halves(self, asked: Sequence[RowText], error: GeminiError) -> _Kept:
        """Ask about both halves of a chunk: one row may have spoilt the answer for all."""
        middle = len(asked) // 2
        halves = [await self._ask(half) for half in (asked[:middle], asked[middle:])]
        failed = next((half for half in halves if half.code is not None), None)
        return _Kept(
            self._job.id,
            sum((half.usage for half in halves), start=error.usage),
            books={row: book for half in halves for row, book in half.books.items()},
            code=None if failed is None else failed.code,
            message="" if failed is None else failed.message,
        )

    async def _kept(self, name: str) -> _Kept | None:
        data = await self._job.kept(name)
        return None if data is None else msgspec.json.decode(data, type=_Kept)

    async def _keep(self, name: str, kept: _Kept) -> None:
        await self._job.keep(name, msgspec.json.encode(kept))

    def _count(self, kept: _Kept) -> None:
        if kept.job == self._job.id:
            self.usage += kept.usage


def _reading(raw: RawRow, kept: _Kept | None, error: ShelfwireError | None) -> Reading:
    if kept is None or raw.problem is not None:
        return Reading(raw)
    return Reading(raw, True, raw.row in kept.books, kept.books.get(raw.row), error)  # noqa: FBT003 - as it is declared


def _chunks(file: BookFile) -> Iterator[list[RawRow]]:
    """The rows of a file in groups that one answer can hold; the same groups each time."""
    chunk: list[RawRow] = []
    size = 0
    for raw in file.rows():
        length = min(sum(map(len, raw.cells)), MOST_ROW)
        if chunk and (len(chunk) == CHUNK_ROWS or size + length > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(raw)
        size += length
    if chunk:
        yield chunk


def _name(what: str, asked: Sequence[object]) -> str:
    return f"gemini-{what}-{hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:32]}"
