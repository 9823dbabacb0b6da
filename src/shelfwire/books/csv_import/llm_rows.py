"""Asks Gemini about a list. Every answer is stored with the job before it is used, so that none is paid for twice.

Failures are stored too, so that an attempt after a crash decides every row as the one before it did. A retry is a new
job and asks again about what failed.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.gemini.adapter import Gemini
from shelfwire.books.gemini.list_prompt import MAX_ROW_CHARACTERS, ColumnsAnswer, RowBook, RowText, row_text
from shelfwire.books.gemini.responses import GeminiError, Usage
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import Job

CHUNK_ROWS: Final = 40
CHUNK_CHARACTERS: Final = 12_000
MAX_UNSPLIT: Final = 10
"""A chunk of more rows is sent again in halves if one of its rows may have spoilt the whole answer."""
MAX_FRUITLESS: Final = 3
"""After this many chunks in a row without any answer, the rest of the list is not sent."""
MAX_SHOWN: Final = 200
"""Characters of a row that are shown as progress."""
_SPOILT: Final = frozenset({BookCode.GEMINI_BAD_OUTPUT, BookCode.GEMINI_REJECTED})


class _StoredAnswer(msgspec.Struct, omit_defaults=True):
    """An answer as it is stored with the job.

    Attributes:
        job: the job that paid for it: what a retry inherits from an earlier job costs nothing, and is asked again if
            it failed.
        usage: what it cost.
        columns: the answer about the columns.
        books: the answers about rows.
        code: why there is no answer, or not for all rows.
        message: likewise, for a developer.
    """

    job: str
    usage: Usage
    columns: ColumnsAnswer | None = None
    books: dict[int, RowBook | None] = {}
    code: str | None = None
    message: str = ""

    @property
    def error(self) -> ShelfwireError | None:
        return None if self.code is None else ShelfwireError(self.code, self.message)


class RowReading(NamedTuple):
    """What is known of one row.

    Attributes:
        raw: the row.
        asked: whether Gemini was asked about it.
        answered: whether it gave a valid answer.
        book: the book it found; None if the row names none.
        error: why there is no answer, where the reason is not this row alone.
    """

    raw: RawRow
    asked: bool = False
    answered: bool = False
    book: RowBook | None = None
    error: ShelfwireError | None = None


class LlmRowReader:
    """Asks Gemini for one attempt at a job.

    Args:
        job: the job.
        gemini: the client; None if there is none any more, so that only stored answers are used.
        required: whether rows that Gemini does not answer fail instead of being read without it.

    Attributes:
        usage: tokens that the job has used, in earlier attempts too.
        unanswered: the number of rows without an answer.
        failed: why, unless the rows themselves were the reason.
    """

    def __init__(self, job: Job, gemini: Gemini | None, *, required: bool) -> None:
        self._job = job
        self._gemini = gemini
        self._required = required
        at_once = 1 if gemini is None else gemini.at_once
        self._max_tasks = 2 * at_once
        self._slots = asyncio.Semaphore(at_once)
        self._fruitless = 0
        self.usage = Usage()
        self.unanswered = 0
        self.failed: ShelfwireError | None = None

    async def columns(self, file: BookFile) -> ColumnsAnswer | None:
        """Return what the columns of a table hold; None if Gemini does not say.

        Call it before the job starts: the first row may turn out to be a header.

        Raises:
            GeminiError: Gemini does not say, and its answer is required.
        """
        sample = file.sample()
        name = _name("columns", sample)
        stored = await self._load(name)
        if stored is None:
            try:
                answer = await self._client().read_columns(sample, len(file.columns))
                stored = _StoredAnswer(self._job.id, answer.usage, columns=answer)
            except GeminiError as error:
                if self._required:
                    raise
                stored = _StoredAnswer(self._job.id, error.usage, code=error.code, message=error.message)
            await self._store(name, stored)
        self._count(stored)
        self.failed = stored.error or self.failed
        return stored.columns

    @asynccontextmanager
    async def rows(self, file: BookFile) -> AsyncIterator[AsyncIterator[RowReading]]:
        """Ask about the rows of a file, several chunks at a time, until the context ends.

        Yields an iterator over all rows in the order of the file.
        """
        tasks: deque[asyncio.Task[list[RowReading]]] = deque()
        try:
            yield self._in_order(file, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_order(
        self, file: BookFile, tasks: deque[asyncio.Task[list[RowReading]]]
    ) -> AsyncIterator[RowReading]:
        chunks = _chunks(file)
        while True:
            while len(tasks) < self._max_tasks and (chunk := next(chunks, None)):
                tasks.append(asyncio.create_task(self._read(file, chunk)))
            if not tasks:
                return
            readings = await tasks[0]  # removed only when it is done: the end of the context cancels what is left
            tasks.popleft()
            for reading in readings:
                yield reading

    async def _read(self, file: BookFile, chunk: Sequence[RawRow]) -> list[RowReading]:
        asked = [RowText(raw.row, file.text_of(raw)) for raw in chunk if raw.problem is None]
        async with self._slots:  # in the order of the file: the first chunks are needed first
            stored = await self._answer(asked) if asked else None
        return [_reading(raw, stored) for raw in chunk]

    async def _answer(self, asked: Sequence[RowText]) -> _StoredAnswer:
        name = _name("rows", asked)
        stored = await self._load(name)
        if stored is None or (stored.code is not None and stored.job != self._job.id):
            stored = await self._ask(asked)
            await self._store(name, stored)
        self._count(stored)
        missing = sum(row.row not in stored.books for row in asked)
        self.unanswered += missing
        if missing:
            self.failed = stored.error or self.failed
        self._fruitless = 0 if stored.books else self._fruitless + 1
        return stored

    async def _ask(self, asked: Sequence[RowText]) -> _StoredAnswer:
        if self._fruitless >= MAX_FRUITLESS and self.failed is not None:
            return _StoredAnswer(self._job.id, Usage(), code=self.failed.code, message=self.failed.message)
        self._job.show(row_text(asked[0].cells)[:MAX_SHOWN])
        try:
            answer = await self._client().read_rows(asked)
        except GeminiError as error:
            if error.code in _SPOILT and not error.hopeless and len(asked) > MAX_UNSPLIT and not self._fruitless:
                return await self._ask_halves(asked, error)
            if error.hopeless:
                self._fruitless, self.failed = MAX_FRUITLESS, error
            return _StoredAnswer(self._job.id, error.usage, code=error.code, message=error.message)
        return _StoredAnswer(self._job.id, answer.usage, books=answer.books)

    def _client(self) -> Gemini:
        if self._gemini is None:
            raise GeminiError(BookCode.GEMINI_UNAVAILABLE, "The server has no key for Gemini any more", hopeless=True)
        return self._gemini

    async def _ask_halves(self, asked: Sequence[RowText], error: GeminiError) -> _StoredAnswer:
        """Ask about both halves of a chunk: one row may have spoilt the answer for all, or it was too long.

        If nothing comes of the first half in all its parts, smaller chunks do not help.
        """
        middle = len(asked) // 2
        halves = [await self._ask(asked[:middle])]
        if halves[0].books or middle <= MAX_UNSPLIT:
            halves.append(await self._ask(asked[middle:]))
        failed = next((half for half in halves if half.code is not None), None)
        return _StoredAnswer(
            self._job.id,
            sum((half.usage for half in halves), start=error.usage),
            books={row: book for half in halves for row, book in half.books.items()},
            code=None if failed is None else failed.code,
            message="" if failed is None else failed.message,
        )

    async def _load(self, name: str) -> _StoredAnswer | None:
        data = await self._job.kept(name)
        return None if data is None else msgspec.json.decode(data, type=_StoredAnswer)

    async def _store(self, name: str, answer: _StoredAnswer) -> None:
        await self._job.keep(name, msgspec.json.encode(answer))

    def _count(self, answer: _StoredAnswer) -> None:
        if answer.job == self._job.id:
            self.usage += answer.usage


def _reading(raw: RawRow, stored: _StoredAnswer | None) -> RowReading:
    if stored is None or raw.problem is not None:
        return RowReading(raw)
    answered = raw.row in stored.books
    return RowReading(raw, asked=True, answered=answered, book=stored.books.get(raw.row), error=stored.error)


def _chunks(file: BookFile) -> Iterator[list[RawRow]]:
    """The rows of a file in groups that one answer can hold; the same groups each time."""
    chunk: list[RawRow] = []
    size = 0
    for raw in file.rows():
        length = min(sum(map(len, raw.cells)), MAX_ROW_CHARACTERS)
        if chunk and (len(chunk) == CHUNK_ROWS or size + length > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(raw)
        size += length
    if chunk:
        yield chunk


def _name(kind: str, asked: Sequence[object]) -> str:
    return f"gemini-{kind}-{hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:32]}"
