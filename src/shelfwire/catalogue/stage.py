"""The first half of a build: what the files hold, put down by number, so that joining it needs no memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from shelfwire.catalogue.database import FORMAT
from shelfwire.catalogue.dumps import Author, BadLine, Edition, Work
from shelfwire.catalogue.entry import Entry, pack
from shelfwire.catalogue.problems import CatalogueError
from shelfwire.catalogue.sources import Record

MOST_BAD_LINES: Final = 20
"""So many are named for each file; all are counted."""

_SCHEMA: Final = """
CREATE TABLE made_of (what TEXT NOT NULL);
CREATE TABLE file (
    id INTEGER PRIMARY KEY, lines INTEGER NOT NULL DEFAULT 0, after INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0, bad INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE bad (file INTEGER NOT NULL, line INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE work (id INTEGER PRIMARY KEY, authors TEXT NOT NULL, entry BLOB NOT NULL);
CREATE TABLE edition (id INTEGER PRIMARY KEY, work INTEGER NOT NULL, authors TEXT NOT NULL, entry BLOB NOT NULL);
CREATE TABLE joined (what TEXT PRIMARY KEY, last INTEGER NOT NULL, done INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE told (work INTEGER PRIMARY KEY);
CREATE TABLE book (
    id INTEGER PRIMARY KEY, key INTEGER NOT NULL, title TEXT NOT NULL, rest TEXT NOT NULL, author TEXT NOT NULL,
    richness INTEGER NOT NULL, entry BLOB NOT NULL
);
CREATE TABLE isbn (isbn INTEGER NOT NULL, book INTEGER NOT NULL, richness INTEGER NOT NULL);
CREATE TABLE row (id INTEGER PRIMARY KEY, entry BLOB NOT NULL);
"""


class Standing(NamedTuple):
    """How far a file has been read; see `sources.Record`.

    Attributes:
        bad: lines that could not be read.
        kept: lines that are of use.
    """

    lines: int = 0
    after: int = 0
    done: bool = False
    bad: int = 0
    kept: int = 0


class Stage:
    """What has been read so far, on the disk.

    Args:
        path: its file; made if there is none.
        files: what the files are, to the byte; what another build has left of others is thrown away.

    Attributes:
        is_continued: whether an earlier build has left something to go on with.
    """

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        made_of = "\n".join((f"form {FORMAT}", *files))
        self.db = _claimed(path)
        self.is_continued = _made_of(self.db) == made_of
        if not self.is_continued:
            path.unlink()
            self.db.close()
            self.db = _claimed(path)
            self.db.executescript(f"BEGIN;{_SCHEMA}")
            self.db.execute("INSERT INTO made_of VALUES (?)", (made_of,))
            self.db.executemany("INSERT INTO file (id) VALUES (?)", ((number,) for number in range(len(files))))
            self.db.execute("COMMIT")

    def close(self) -> None:
        """Close it."""
        self.db.close()

    def standing(self, file: int) -> Standing:
        """How far this file has been read."""
        lines, after, done, bad, kept = self.db.execute(
            "SELECT lines, after, done, bad, kept FROM file WHERE id = ?", (file,)
        ).fetchone()
        return Standing(lines, after, bool(done), bad, kept)

    def bad_lines(self, file: int) -> list[tuple[int, str]]:
        """The first bad lines of this file: their numbers, and what is wrong with each."""
        return self.db.execute("SELECT line, why FROM bad WHERE file = ? ORDER BY line", (file,)).fetchall()

    def put(self, file: int, records: Sequence[Record], *, is_last: bool) -> None:
        """Keep what these records hold, and that they have been read, in one transaction."""
        standing = self.standing(file)
        authors, works, editions, rows, bad = _sorted(file, records)
        self.db.execute("BEGIN")
        put = self.db.executemany
        # A dump may be newer than another that holds the same record; the one named last wins.
        put("INSERT OR REPLACE INTO author VALUES (?, ?)", authors)
        put("INSERT OR REPLACE INTO work VALUES (?, ?, ?)", works)
        put("INSERT OR REPLACE INTO edition VALUES (?, ?, ?, ?)", editions)
        put("INSERT INTO row (entry) VALUES (?)", rows)
        put("INSERT INTO bad VALUES (?, ?, ?)", bad[: max(0, MOST_BAD_LINES - standing.bad)])
        last = records[-1] if records else Record(standing.lines, standing.after, None)
        kept = sum(map(len, (authors, works, editions, rows)))
        self.db.execute(
            "UPDATE file SET lines = ?, after = ?, done = ?, bad = bad + ?, kept = kept + ? WHERE id = ?",
            (last.line, last.after, is_last, len(bad), kept, file),
        )
        self.db.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that a build writes: what is committed outlives the process."""
    db = sqlite3.connect(path, isolation_level=None)
    set_up(db)
    return db


def set_up(db: sqlite3.Connection, schema: str = "main") -> None:
    """Write with little ado: transactions are whole, and only the last ones may be lost with the power."""
    db.execute(f"PRAGMA {schema}.synchronous = NORMAL")
    db.execute(f"PRAGMA {schema}.cache_size = -65536")


def numbers(joined: str) -> list[int]:
    """The numbers of authors as a row of the stage has them."""
    return [int(number) for number in joined.split()]


def _sorted(file: int, records: Iterable[Record]) -> tuple[list[tuple[Any, ...]], ...]:
    """The records by their tables: authors, works, editions, rows, bad lines."""
    tables: tuple[list[tuple[Any, ...]], ...] = ([], [], [], [], [])
    authors, works, editions, rows, bad = tables
    for line, _, item in records:
        match item:
            case Author():
                authors.append(item)
            case Edition():
                editions.append((item.id, item.work, _joined(item.authors), pack(item.entry)))
            case Work():
                works.append((item.id, _joined(item.authors), pack(item.entry)))
            case Entry():
                rows.append((pack(item),))
            case BadLine():
                bad.append((file, line, str(item)))
            case _:
                pass
    return tables


def _joined(authors: Iterable[int]) -> str:
    return " ".join(map(str, authors))


def _claimed(path: Path) -> sqlite3.Connection:
    """Open the file so that no other process can until it is closed; what is no database there is replaced."""
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        set_up(db)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        db.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            path.unlink()
            return _claimed(path)
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise CatalogueError(
                f"Another process is building {path.with_suffix('')}. Wait for it, or name another file: --out"
            ) from None
        raise CatalogueError(f"{path} cannot be written: {error}. Free the disk, or name another --out") from None
    return db


def _made_of(db: sqlite3.Connection) -> str | None:
    try:
        found = db.execute("SELECT what FROM made_of").fetchone()
    except sqlite3.Error:
        return None
    return str(found[0]) if found else None
