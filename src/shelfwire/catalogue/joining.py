"""The second half of a build: editions get their works and authors, and books are made findable by ISBN and by name."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from shelfwire.catalogue.database import APPLICATION_ID, FORMAT, MOST_WORD_LETTERS, SCHEMA
from shelfwire.catalogue.entry import Entry, pack, unpack
from shelfwire.catalogue.stage import Stage, connect, numbers, set_up
from shelfwire.catalogue.text import name_of, words

SHORTEST_SPELLING: Final = 4
"""Shorter words are not offered as the right spelling of others: too many are alike."""
INDEX_BYTES: Final = 32 * 1024 * 1024
"""So much of an index is gathered before it is written; SQLite's own megabyte makes many parts that must be merged."""
EDGE: Final = "_"
"""Stands at both ends of a word in the index of spellings, so that its beginning and its end count."""

_EDITIONS: Final = """
SELECT edition.id, edition.authors, edition.entry, work.authors, work.entry, work.id
FROM edition LEFT JOIN work ON work.id = edition.work WHERE edition.id > ? ORDER BY edition.id LIMIT ?
"""
_ROWS: Final = "SELECT id, entry FROM row WHERE id > ? ORDER BY id LIMIT ?"
_WORKS: Final = """
SELECT id, authors, entry FROM work WHERE id > ? AND id NOT IN (SELECT work FROM told) ORDER BY id LIMIT ?
"""
_AUTHORS: Final = "SELECT id, name FROM author WHERE id IN (SELECT value FROM json_each(?))"
_TELL: Final = "INSERT OR IGNORE INTO told VALUES (?)"
_BOOK: Final = "INSERT INTO book VALUES (?, ?, ?, ?, ?, ?, ?)"
_ISBN: Final = "INSERT INTO isbn VALUES (?, ?, ?)"

# Sorting once is sequential, where keeping an index in order book by book would turn over all of it again and again.
_SORTED: Final = {
    # With max(), SQLite takes the other columns from the row that has it.
    "name": """
        INSERT INTO out.name (title, rest, author, book)
        SELECT title, rest, author, id FROM (
            SELECT title, rest, author, id, max(richness) FROM main.book WHERE title <> '' GROUP BY key
        )
    """,
    "isbn": """
        INSERT INTO out.isbn
        SELECT isbn, book FROM (SELECT isbn, book, max(richness) FROM main.isbn GROUP BY isbn)
    """,
    "book": """
        INSERT INTO out.book SELECT book.id, book.entry
        FROM (SELECT book FROM out.name UNION SELECT book FROM out.isbn ORDER BY 1) AS answer
        JOIN main.book ON book.id = answer.book
    """,
}
_INDEX_NAMES: Final = """
INSERT INTO out.names (rowid, title, rest, author) SELECT id, title, rest, author FROM out.name WHERE id > ? AND id <= ?
"""
_WORDS: Final = "INSERT INTO out.word (word, names) SELECT term, doc FROM out.counts WHERE length(term) <= ?"
_SPELLINGS: Final = """
INSERT INTO out.spellings (rowid, word)
SELECT id, ? || word || ? FROM out.word WHERE id > ? AND id <= ? AND length(word) >= ?
"""


class _Pass(NamedTuple):
    """Rows of the stage that become books: how they are read on, and made entries."""

    table: str
    sql: str
    entries: Callable[[list[Any]], list[Entry]]
    is_work: bool = False


class Joiner:
    """Makes books of what is on the stage, and fills the catalogue's file with them. Close it before the stage.

    Args:
        stage: what was read, all of it.
        path: the file; one that an earlier build has left is gone on with.
        batch: books in a transaction.
    """

    def __init__(self, stage: Stage, path: Path, batch: int) -> None:
        self._db = stage.db
        self._batch = batch
        attach(self._db, path)
        self._next_book = 1 + self._count("SELECT max(id) FROM main.book")

    def close(self) -> None:
        """Let go of the file."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._db.execute("DETACH out")

    def join(self) -> Iterator[tuple[int, int]]:
        """Give editions and works their authors; tells after each batch how many are done, of how many."""
        passes = (
            _Pass("edition", _EDITIONS, self._of_editions),
            _Pass("row", _ROWS, _of_rows),
            # Last, when it is known which works have an edition under their very name.
            _Pass("work", _WORKS, self._of_works, is_work=True),
        )
        totals = [self._count(f"SELECT count(*) FROM {one.table}") for one in passes]  # noqa: S608 - ours
        for number, one in enumerate(passes):
            last, done = self._standing(one.table)
            while rows := self._db.execute(one.sql, (last, self._batch)).fetchall():
                last, done = rows[-1][0], done + len(rows)
                with self._transaction():
                    self._add(one.entries(rows), is_work=one.is_work)
                    self._db.execute("INSERT OR REPLACE INTO joined VALUES (?, ?, ?)", (one.table, last, done))
                yield sum(totals[:number]) + done, sum(totals)
            yield sum(totals[: number + 1]), sum(totals)

    def index(self) -> Iterator[tuple[int, int]]:
        """Sort the books and make them findable; tells after each step how many are done, of how many."""
        for what, sql in _SORTED.items():
            self._once(what, sql)
        for index in ("names", "spellings"):
            self._db.execute(f"INSERT INTO out.{index} ({index}, rank) VALUES ('hashsize', ?)", (INDEX_BYTES,))  # noqa: S608
        names = self._count("SELECT max(id) FROM out.name")
        for done in self._in_batches("names", names, _INDEX_NAMES, ()):
            yield done, 2 * names
        self._once("optimize", "INSERT INTO out.names (names) VALUES ('optimize')")
        self._once("words", _WORDS, (MOST_WORD_LETTERS,))
        found = self._count("SELECT max(id) FROM out.word")
        for done in self._in_batches("spellings", found, _SPELLINGS, (EDGE, EDGE), (SHORTEST_SPELLING,)):
            yield names + names * done // max(1, found), 2 * names

    def finish(self) -> tuple[int, int, int]:
        """Mark the file as a catalogue; nothing is written to it after that.

        Returns:
            How many books, ISBNs and names it has.
        """
        self._once("merge", "INSERT INTO out.spellings (spellings) VALUES ('optimize')")
        counts = [self._count(f"SELECT count(*) FROM out.{table}") for table in ("book", "isbn", "name")]  # noqa: S608
        self._db.execute("ANALYZE out")
        self._db.execute("PRAGMA out.synchronous = FULL")
        with self._transaction():
            self._db.execute(f"PRAGMA out.application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA out.user_version = {FORMAT}")
        books, isbns, names = counts
        return books, isbns, names

    def _once(self, what: str, sql: str, values: tuple[Any, ...] = ()) -> None:
        """Do a step that is one statement, unless it is done."""
        if not self._done(what):
            with self._transaction():
                self._db.execute(sql, values)
                self._note(what, 1)

    def _in_batches(
        self, what: str, total: int, sql: str, before: tuple[Any, ...], after: tuple[Any, ...] = ()
    ) -> Iterator[int]:
        done = self._done(what)
        while done < total:
            start, done = done, min(total, done + 4 * self._batch)
            with self._transaction():
                self._db.execute(sql, (*before, start, done, *after))
                self._note(what, done)
            yield done

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _of_editions(self, rows: list[Any]) -> list[Entry]:
        people = self._people([joined for row in rows for joined in (row[1], row[3]) if joined])
        entries, told = [], []
        for _, authors, packed, work_authors, work, number in rows:
            entry = unpack(packed)
            named = _named(work_authors, people) if work_authors else ()
            if work is None:
                entries.append(replace(entry, authors=_named(authors, people)))
                continue
            entries.append(_edition(entry, unpack(work), named or _named(authors, people)))
            if entries[-1].work_title is None:
                told.append((number,))
        self._db.executemany(_TELL, told)
        return entries

    def _of_works(self, rows: list[Any]) -> list[Entry]:
        people = self._people([row[1] for row in rows])
        return [replace(unpack(entry), authors=_named(authors, people)) for _, authors, entry in rows]

    def _people(self, authors: Iterable[str]) -> dict[int, str]:
        wanted = sorted({number for joined in set(authors) for number in numbers(joined)})
        return dict(self._db.execute(_AUTHORS, (json.dumps(wanted),)))

    def _add(self, entries: Sequence[Entry], *, is_work: bool) -> None:
        books: list[tuple[Any, ...]] = []
        isbns: list[tuple[int, int, int]] = []
        for book, entry in enumerate(entries, self._next_book):
            name, packed = name_of(entry.title, entry.subtitle, entry.authors), pack(entry)
            # Of two books that would answer the same question, the one that says more does; a work is the last resort.
            richness = 0 if is_work else len(packed)
            books.append((book, name.key, *name, richness, packed))
            if entry.isbn13s:
                isbns += [(int(isbn), book, richness) for isbn in entry.isbn13s]
        self._next_book += len(entries)
        self._db.executemany(_BOOK, books)
        self._db.executemany(_ISBN, isbns)

    def _standing(self, table: str) -> tuple[int, int]:
        """Where a pass is: the last number that is done, and how many are."""
        found = self._db.execute("SELECT last, done FROM joined WHERE what = ?", (table,)).fetchone()
        return found or (0, 0)

    def _done(self, what: str) -> int:
        return self._count("SELECT value FROM out.progress WHERE key = ?", (what,))

    def _note(self, what: str, done: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO out.progress VALUES (?, ?)", (what, done))

    def _count(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        found = self._db.execute(sql, values).fetchone()
        return int(found[0] or 0) if found else 0


def attach(db: sqlite3.Connection, path: Path) -> None:
    """Have a connection know the catalogue's file, with its tables, as `out`."""
    own = connect(path)
    if not own.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        own.executescript(f"BEGIN;{SCHEMA};COMMIT")
    own.close()
    db.execute("ATTACH ? AS out", (str(path),))
    set_up(db, "out")


def _of_rows(rows: list[Any]) -> list[Entry]:
    return [unpack(entry) for _, entry in rows]


def _edition(edition: Entry, work: Entry, authors: tuple[str, ...]) -> Entry:
    """An edition, with what only its work tells."""
    return replace(
        edition,
        authors=authors,
        work_title=None if _same(work.title, edition.title) else work.title,
        subjects=edition.subjects or work.subjects,
        description=edition.description or work.description,
        cover_url=edition.cover_url or work.cover_url,
        identifiers=edition.identifiers | work.identifiers,
    )


def _named(authors: str, people: dict[int, str]) -> tuple[str, ...]:
    return tuple(people[number] for number in numbers(authors) if number in people)


def _same(title: str, other: str) -> bool:
    return title == other or words(title) == words(other)
