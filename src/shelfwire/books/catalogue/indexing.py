"""The second half of a build: the stage is joined into the catalogue's file, and its names are indexed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import apsw

from shelfwire.books.bibliography.titles import NAME_SEPARATOR
from shelfwire.books.catalogue.database import (
    APPLICATION_ID,
    COUNTS,
    EDGE,
    FORMAT,
    MOST_WORD_LETTERS,
    SCHEMA,
    SHORTEST_SPELLING,
)
from shelfwire.books.catalogue.stage import Stage, connect, set_up, transaction, uri

INDEX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of an index that are gathered before they are written; SQLite's own megabyte makes many parts to merge."""

_WORDS_OF: Final = """
CASE typeof({0})
    WHEN 'integer' THEN (SELECT words FROM main.author WHERE id = {0})
    WHEN 'text' THEN (
        SELECT group_concat(nullif(author.words, ''), '{1}' ORDER BY one.key)
        FROM json_each({0}) AS one JOIN main.author ON author.id = one.value
    )
END
"""
# Most works have an edition under their very name; leaving these out saves half of the sorting.
_EDITIONS_TITLE: Final = (
    "SELECT work.id FROM main.book JOIN main.work ON work.id = book.work WHERE work.title = book.title"
)
_OF_WORK, _OF_BOOK = (_WORDS_OF.format(f"{table}.authors", NAME_SEPARATOR) for table in ("work", "book"))
# Sorting once is sequential, where keeping an index in order book by book would turn over all of it again and again.
_JOINED: Final = {
    # Of the books of one name, the one that says most is the answer; a work is the last resort, by a negative number.
    # With max(), SQLite takes the other columns from the row that has it.
    "name": f"""
        INSERT INTO out.name (title, rest, author, book)
        SELECT title, rest, author, id FROM (
            SELECT title, rest, author, id, max(richness) FROM (
                SELECT book.title, book.rest, coalesce({_OF_WORK}, {_OF_BOOK}, book.credit, '') AS author,
                    book.id, length(book.entry) AS richness
                FROM main.book LEFT JOIN main.work ON work.id = book.work WHERE book.title <> ''
                UNION ALL
                SELECT title, rest, coalesce({_OF_WORK}, ''), -id, 0 FROM main.work
                WHERE title <> '' AND id NOT IN ({_EDITIONS_TITLE})
            )
            GROUP BY replace(title || '{NAME_SEPARATOR}' || author, ' ', '')
        )
    """,  # noqa: S608 - ours
    "isbn": """
        INSERT INTO out.isbn SELECT isbn, id FROM (
            SELECT isbn, id, max(richness) FROM (
                SELECT isbns AS isbn, id, length(entry) AS richness FROM main.book WHERE typeof(isbns) = 'integer'
                UNION ALL
                SELECT one.value, book.id, length(entry) FROM main.book JOIN json_each(isbns) AS one
                WHERE typeof(isbns) = 'text'
            )
            GROUP BY isbn
        )
    """,
    "book": """
        INSERT INTO out.book SELECT id, work, authors, entry FROM main.book
        WHERE isbns IS NOT NULL OR id IN (SELECT book FROM out.name)
    """,
    "work": "INSERT INTO out.work SELECT id, authors, entry FROM main.work",
    "author": "INSERT INTO out.author SELECT id, name FROM main.author",
}
_INDEX_NAMES: Final = """
INSERT INTO out.names (rowid, title, rest, author) SELECT id, title, rest, author FROM out.name WHERE id > ? AND id <= ?
"""
_WORDS: Final = "INSERT INTO out.word (word, names) SELECT term, doc FROM out.counts WHERE length(term) <= ?"
_SPELLINGS: Final = """
INSERT INTO out.spellings (rowid, word)
SELECT id, ? || word || ? FROM out.word WHERE id > ? AND id <= ? AND length(word) >= ?
"""


class Indexer:
    """Fills the catalogue's file from the stage. Close it before the stage.

    Args:
        stage: with all books.
        path: the file; one that an earlier build has left is gone on with.
        batch: names and words in a transaction.
    """

    def __init__(self, stage: Stage, path: Path, batch: int) -> None:
        self._db = stage.db
        self._batch = batch
        attach(self._db, path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.execute("DETACH out")

    def join(self) -> Iterator[tuple[int, int]]:
        """Choose the book for each ISBN and name; yields around each table how many are done, of how many."""
        done = sum(map(self._done, _JOINED))
        yield done, len(_JOINED)
        for what, sql in list(_JOINED.items())[done:]:
            self._once(what, sql)
            done += 1
            yield done, len(_JOINED)

    def index(self) -> Iterator[tuple[int, int]]:
        """Index the names; yields after each step how many are done of how many."""
        for index in ("names", "spellings"):
            self._db.execute(f"INSERT INTO out.{index} ({index}, rank) VALUES ('hashsize', ?)", (INDEX_BYTES,))  # noqa: S608
        names = _count(self._db, "SELECT max(id) FROM out.name")
        for done in self._in_batches("names", names, _INDEX_NAMES, ()):
            yield done, 2 * names
        self._once("optimize", "INSERT INTO out.names (names) VALUES ('optimize')")
        self._once("words", _WORDS, (MOST_WORD_LETTERS,))
        found = _count(self._db, "SELECT max(id) FROM out.word")
        for done in self._in_batches("spellings", found, _SPELLINGS, (EDGE, EDGE), (SHORTEST_SPELLING,)):
            yield names + names * done // max(1, found), 2 * names

    def finish(self) -> tuple[int, int, int]:
        """Mark the file as a catalogue; nothing is written to it after that.

        Returns:
            How many books, ISBNs and names it has.
        """
        self._once("merge", "INSERT INTO out.spellings (spellings) VALUES ('optimize')")
        (counts,) = self._db.execute(COUNTS.format("out")).fetchall()
        self._db.execute("ANALYZE out")
        self._db.execute("PRAGMA out.synchronous = FULL")
        with transaction(self._db):
            self._db.execute(f"PRAGMA out.application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA out.user_version = {FORMAT}")
        return cast("tuple[int, int, int]", counts)

    def _once(self, what: str, sql: str, values: tuple[Any, ...] = ()) -> None:
        """Do a step that is one statement, unless it is done."""
        if not self._done(what):
            with transaction(self._db):
                self._db.execute(sql, values)
                self._note(what, 1)

    def _in_batches(
        self, what: str, total: int, sql: str, before: tuple[Any, ...], after: tuple[Any, ...] = ()
    ) -> Iterator[int]:
        done = self._done(what)
        while done < total:
            start, done = done, min(total, done + self._batch)
            with transaction(self._db):
                self._db.execute(sql, (*before, start, done, *after))
                self._note(what, done)
            yield done

    def _done(self, what: str) -> int:
        return _count(self._db, "SELECT value FROM out.progress WHERE key = ?", (what,))

    def _note(self, what: str, done: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO out.progress VALUES (?, ?)", (what, done))


def attach(db: apsw.Connection, path: Path) -> None:
    """Have a connection know the catalogue's file, with its tables, as `out`."""
    own = connect(path)
    if not _count(own, "SELECT count(*) FROM sqlite_schema"):
        with transaction(own):
            own.execute(SCHEMA)
    own.close()
    db.execute("ATTACH ? AS out", (uri(path),))
    set_up(db, "out")


def _count(db: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> int:
    """The number that a query finds, or 0."""
    found = db.execute(sql, values).fetchall()
    return int(found[0][0] or 0) if found else 0
