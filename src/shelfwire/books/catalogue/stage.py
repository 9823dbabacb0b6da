"""The rows read from the files so far, on the disk, until they are joined."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, cast

import apsw

from shelfwire.books.catalogue.database import FORMAT
from shelfwire.books.catalogue.problems import CatalogueError
from shelfwire.books.catalogue.rows import MOST_BAD_LINES, Rows

CACHE_BYTES: Final = 32 * 1024 * 1024
MAPPED_BYTES: Final = 256 * 1024 * 1024
"""Of each file that a build writes, at most."""
CALL_STEPS: Final = 100_000
"""Steps of SQLite's virtual machine between two calls of Python: a few milliseconds."""

_SCHEMA: Final = """
CREATE TABLE made_of (what TEXT NOT NULL);
CREATE TABLE file (
    id INTEGER PRIMARY KEY, lines INTEGER NOT NULL DEFAULT 0, after INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0, bad INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE bad (file INTEGER NOT NULL, line INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, words TEXT NOT NULL);
CREATE TABLE work (
    id INTEGER PRIMARY KEY, authors, entry BLOB NOT NULL, title TEXT NOT NULL, rest TEXT NOT NULL
);
CREATE TABLE book (
    id INTEGER PRIMARY KEY, work INTEGER, authors, credit TEXT, isbns, entry BLOB NOT NULL, title TEXT NOT NULL,
    rest TEXT NOT NULL
);
"""


_Counts = tuple[int, int, int, int, int]


class FileProgress(NamedTuple):
    """How far a file has been read.

    Attributes:
        lines: its lines, or the rows of a list, until there.
        after: where to go on; see `sources.Chunk`.
        done: whether that is its end.
        bad: lines that could not be read.
        kept: lines that are of use.
    """

    lines: int = 0
    after: int = 0
    done: bool = False
    bad: int = 0
    kept: int = 0


class Stage:
    """The rows read so far.

    Args:
        path: its file; made if there is none.
        files: fingerprints of the files; a stage that another build has left of other files is deleted.

    Attributes:
        db: the file, open.
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
            with transaction(self.db):
                self.db.execute(_SCHEMA)
                self.db.execute("INSERT INTO made_of VALUES (?)", (made_of,))
                self.db.executemany("INSERT INTO file (id) VALUES (?)", ((number,) for number in range(len(files))))

    def close(self) -> None:
        """Close it."""
        self.db.close()

    def progress(self, file: int) -> FileProgress:
        """How far this file has been read."""
        sql = "SELECT lines, after, done, bad, kept FROM file WHERE id = ?"
        ((lines, after, done, bad, kept),) = cast("list[_Counts]", self.db.execute(sql, (file,)).fetchall())
        return FileProgress(lines, after, bool(done), bad, kept)

    def bad_lines(self, file: int) -> list[tuple[int, str]]:
        """The first bad lines of this file: their numbers, and what is wrong with each."""
        found = self.db.execute("SELECT line, why FROM bad WHERE file = ? ORDER BY line", (file,)).fetchall()
        return cast("list[tuple[int, str]]", found)

    def put(self, file: int, rows: Rows, *, lines: int, after: int, is_last: bool) -> None:
        """Store the rows of some lines of a file, and that these have been read, in one transaction.

        Args:
            file: its number.
            rows: their rows.
            lines: the number of the last of them.
            after: where to go on behind it.
            is_last: whether the file ends there.
        """
        progress = self.progress(file)
        with transaction(self.db):
            put = self.db.executemany
            # A dump may be newer than another that holds the same record; the one named last wins.
            put("INSERT OR REPLACE INTO author VALUES (?, ?, ?)", rows.authors)
            put("INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?, ?)", rows.works)
            put("INSERT OR REPLACE INTO book VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows.books)
            first_bad = rows.bad[: max(0, MOST_BAD_LINES - progress.bad)]
            put("INSERT INTO bad VALUES (?, ?, ?)", ((file, *one) for one in first_bad))
            bad = progress.bad + len(rows.bad) + rows.more_bad
            self.db.execute(
                "UPDATE file SET lines = ?, after = ?, done = ?, bad = ?, kept = ? WHERE id = ?",
                (lines, after, is_last, bad, progress.kept + rows.kept, file),
            )


def connect(path: Path) -> apsw.Connection:
    """Open a file that a build writes: what is committed outlives the process."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(uri(path), flags=flags)
    set_up(db)
    # Python looks for signals only where it is called, and joining is a few statements that take minutes.
    db.set_progress_handler(lambda: False, CALL_STEPS)
    return db


def delete(path: Path) -> None:
    """Delete a file that a build writes, if it is there; and its journal, which a build that is killed leaves."""
    # The file last: once its name is free, a journal may be that of another build.
    for one in (path.with_name(path.name + "-journal"), path):
        one.unlink(missing_ok=True)


def uri(path: Path) -> str:
    """The name of a file for SQLite, to which a plain name must be UTF-8."""
    return path.absolute().as_uri()


def set_up(db: apsw.Connection, schema: str = "main") -> None:
    """Write with little ado: transactions are whole, and only the last ones may be lost with the power."""
    db.execute(f"PRAGMA {schema}.synchronous = NORMAL")
    db.execute(f"PRAGMA {schema}.cache_size = {-CACHE_BYTES // 1024}")
    # Joining looks at all books in turn, which is a quarter faster without a copy of each page.
    db.execute(f"PRAGMA {schema}.mmap_size = {MAPPED_BYTES}")


@contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """All or nothing of what is written meanwhile."""
    db.execute("BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk has ended it already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _claimed(path: Path) -> apsw.Connection:
    """Open the file so that no other process can until it is closed; what is no database there is replaced."""
    try:
        db = connect(path)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            _sort_in(db, path.absolute().parent)
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")
            is_deleted = _is_deleted(db)
        except BaseException:
            db.close()
            raise
    except apsw.NotADBError:
        path.unlink(missing_ok=True)
        return _claimed(path)
    except apsw.BusyError:
        raise CatalogueError(
            f"Another process is building {path.with_suffix('')}. Wait for it, or name another file: --out"
        ) from None
    except apsw.Error as error:
        raise CatalogueError(f"{path} cannot be written: {error}. Free the disk, or name another --out") from None
    if is_deleted:
        # Another build ended between opening and claiming: two would have a file each, and one catalogue.
        db.close()
        return _claimed(path)
    return db


def _sort_in(db: apsw.Connection, folder: Path) -> None:
    """Sort in the folder of the catalogue, which has the space for it; /var/tmp may not."""
    with suppress(UnicodeEncodeError):
        db.execute(f"PRAGMA temp_store_directory = {apsw.format_sql_value(str(folder))}")


def _is_deleted(db: apsw.Connection) -> bool:
    """Whether the open file does not have its name any more."""
    moved = ctypes.c_int(0)
    db.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, ctypes.addressof(moved))
    return bool(moved.value)


def _made_of(db: apsw.Connection) -> str | None:
    try:
        found = db.execute("SELECT what FROM made_of").fetchall()
    except apsw.Error:
        return None
    return str(found[0][0]) if found else None
