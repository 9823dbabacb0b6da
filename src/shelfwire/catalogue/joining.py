"""The second half of a build: editions get their works and authors, and books are made findable by ISBN and by name."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from shelfwire.catalogue.database import APPLICATION_ID, FORMAT, MOST_WORD_LETTERS, SCHEMA
from shelfwire.catalogue.entry import Entry, pack, unpack
from shelfwire.catalogue.stage import Stage, connect, numbers
from shelfwire.catalogue.text import name_of, words

SHORTEST_SPELLING: Final = 4
"""Shorter words are not offered as the right spelling of others: too many are alike."""
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
_KNOWN: Final = "SELECT key, richness FROM name WHERE key IN (SELECT value FROM json_each(?))"
_BOOK: Final = "INSERT INTO book VALUES (?, ?)"
_ISBN: Final = """
INSERT INTO isbn VALUES (?, ?, ?) ON CONFLICT (isbn) DO UPDATE SET book = excluded.book, richness = excluded.richness
WHERE excluded.richness > isbn.richness
"""
_NAME: Final = """
INSERT INTO name (key, title, rest, author, book, richness) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET book = excluded.book, richness = excluded.richness
"""
_INDEX_NAMES: Final = """
INSERT INTO names (rowid, title, rest, author) SELECT id, title, rest, author FROM name WHERE id > ? AND id <= ?
"""
_WORDS: Final = "INSERT INTO word (word, names) SELECT term, doc FROM counts WHERE length(term) <= ?"
_SPELLINGS: Final = """
INSERT INTO spellings (rowid, word) SELECT id, ? || word || ? FROM word WHERE id > ? AND id <= ? AND length(word) >= ?
"""


class _Pass(NamedTuple):
    """Rows of the stage that become books: how they are read on, and made entries."""

    table: str
    sql: str
    entries: Callable[[list[Any]], list[Entry]]
    only_new: bool


class Joiner:
    """Fills the catalogue's file from the stage.

    Args:
        stage: what was read, all of it.
        path: the file; one that an earlier build has left is gone on with.
        batch: books in a transaction.
    """

    def __init__(self, stage: Stage, path: Path, batch: int) -> None:
        self._stage = stage
        self._batch = batch
        self._db = connect(path)
        if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._db.executescript(f"BEGIN;{SCHEMA};COMMIT")
        self._next_book = 1 + self._count("SELECT max(id) FROM book")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def join(self) -> Iterator[tuple[int, int]]:
        """Make books of everything; tells after each batch how many are done, of how many."""
        passes = (
            _Pass("edition", _EDITIONS, self._of_editions, only_new=False),
            _Pass("row", _ROWS, _of_rows, only_new=False),
            # Last, so that a work becomes a book of its own only if no edition has its title.
            _Pass("work", _WORKS, self._of_works, only_new=True),
        )
        total = sum(self._staged(one.table) for one in passes)
        done = 0
        for one in passes:
            last, count = self._standing(one.table)
            while rows := self._stage.db.execute(one.sql, (last, self._batch)).fetchall():
                last, count = rows[-1][0], count + len(rows)
                self._db.execute("BEGIN")
                self._add(one.entries(rows), only_new=one.only_new)
                self._stand(one.table, last, count)
                self._db.execute("COMMIT")
                yield done + count, total
            done += self._staged(one.table)
            yield done, total

    def index(self) -> Iterator[tuple[int, int]]:
        """Make the books findable by their words; tells after each batch how many are done, of how many."""
        names = self._count("SELECT max(id) FROM name")
        for done in self._in_batches("names", names, lambda start, stop: (_INDEX_NAMES, (start, stop))):
            yield done, 2 * names
        if not self._standing("words")[1]:
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO names (names) VALUES ('optimize')")
            self._db.execute(_WORDS, (MOST_WORD_LETTERS,))
            self._stand("words", 0, 1)
            self._db.execute("COMMIT")
        found = self._count("SELECT max(id) FROM word")
        edges = (EDGE, EDGE)
        spell = lambda start, stop: (_SPELLINGS, (*edges, start, stop, SHORTEST_SPELLING))  # noqa: E731
        for done in self._in_batches("spellings", found, spell):
            yield names + names * done // max(1, found), 2 * names

    def finish(self) -> tuple[int, int, int]:
        """Mark the file as a catalogue; nothing is written to it after that.

        Returns:
            How many books, ISBNs and names it has.
        """
        self._db.execute("INSERT INTO spellings (spellings) VALUES ('optimize')")
        counts = [self._count(f"SELECT count(*) FROM {table}") for table in ("book", "isbn", "name")]  # noqa: S608 - ours
        self._db.execute("ANALYZE")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN")
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {FORMAT}")
        self._db.execute("COMMIT")
        books, isbns, names = counts
        return books, isbns, names

    def _in_batches(
        self, step: str, total: int, statement: Callable[[int, int], tuple[str, tuple[Any, ...]]]
    ) -> Iterator[int]:
        done, _ = self._standing(step)
        while done < total:
            start, done = done, min(total, done + 4 * self._batch)
            self._db.execute("BEGIN")
            self._db.execute(*statement(start, done))
            self._stand(step, done, done)
            self._db.execute("COMMIT")
            yield done

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
            if entries[-1].work_title is None and named:
                told.append(number)
        self._stage.tell(told)
        return entries

    def _of_works(self, rows: list[Any]) -> list[Entry]:
        people = self._people([row[1] for row in rows])
        return [replace(unpack(entry), authors=_named(authors, people)) for _, authors, entry in rows]

    def _people(self, authors: Iterable[str]) -> dict[int, str]:
        wanted = sorted({number for joined in set(authors) for number in numbers(joined)})
        return dict(self._stage.db.execute(_AUTHORS, (json.dumps(wanted),)))

    def _add(self, entries: Sequence[Entry], *, only_new: bool) -> None:
        names = [name_of(entry.title, entry.subtitle, entry.authors) for entry in entries]
        keys = [name.key for name in names]
        known: dict[int, int] = dict(self._db.execute(_KNOWN, (json.dumps(sorted(set(keys))),)))
        books: list[tuple[int, bytes]] = []
        isbns: list[tuple[int, int, int]] = []
        titles: list[tuple[Any, ...]] = []
        for entry, name, key in zip(entries, names, keys, strict=True):
            packed = pack(entry)
            # Of two books that would answer the same question, the one that says more does.
            richness = len(packed)
            best = known.get(key, 0)
            leads = bool(name.title) and richness > best and not (only_new and best)
            if leads or entry.isbn13s:
                book, self._next_book = self._next_book, self._next_book + 1
                books.append((book, packed))
                isbns += ((int(isbn), book, richness) for isbn in entry.isbn13s)
                if leads:
                    known[key] = richness
                    titles.append((key, *name, book, richness))
        self._db.executemany(_BOOK, books)
        self._db.executemany(_ISBN, isbns)
        self._db.executemany(_NAME, titles)

    def _standing(self, step: str) -> tuple[int, int]:
        """Where a step is: the last number that is done, and how many are."""
        found = self._db.execute("SELECT value FROM progress WHERE key = ?", (step,)).fetchone()
        last, count = json.loads(found[0]) if found else (0, 0)
        return last, count

    def _stand(self, step: str, last: int, count: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (step, json.dumps([last, count])))

    def _staged(self, table: str) -> int:
        return int(self._stage.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - ours

    def _count(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0] or 0)


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
