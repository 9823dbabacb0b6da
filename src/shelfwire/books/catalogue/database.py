"""The catalogue's file: an SQLite database with FTS5, its form, and how it is opened to be read."""

from pathlib import Path
from typing import Final, cast

import apsw

from shelfwire.books.catalogue.problems import CatalogueError

APPLICATION_ID: Final = 0x53484C46
"""Marks a finished catalogue; a file that is being built does not have it yet."""
_SQLITE: Final = b"SQLite format 3\0"
_ID_AT: Final = slice(68, 72)
"""Where the header of an SQLite file has that number; see https://www.sqlite.org/fileformat.html."""
FORMAT: Final = 3
"""Raised whenever a catalogue of before can no longer be read."""
UNFINISHED: Final = ".part"
STAGE: Final = ".stage"
"""Name endings of the two files that a build keeps beside its target."""
MOST_WORD_LETTERS: Final = 40
"""Longer words are none; they are not offered as the right spelling of others."""
LISTED: Final = 1 << 50
"""Books of lists have numbers from here on; below are those of editions, and negative ones stand for works."""
SHORTEST_SPELLING: Final = 4
"""Shorter words are not either: too many are alike."""
EDGE: Final = "_"
"""Stands at both ends of a word in the index of spellings, so that its beginning and its end count."""

# Nothing of `names` is ever read back through the index, so that it need not keep the texts a second time.
SCHEMA: Final = """
CREATE TABLE progress (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE work (id INTEGER PRIMARY KEY, authors, entry BLOB NOT NULL);
CREATE TABLE book (id INTEGER PRIMARY KEY, work INTEGER, authors, entry BLOB NOT NULL);
CREATE TABLE isbn (isbn INTEGER PRIMARY KEY, book INTEGER NOT NULL);
CREATE TABLE name (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, rest TEXT NOT NULL, author TEXT NOT NULL, book INTEGER NOT NULL
);
CREATE VIRTUAL TABLE names USING fts5(title, rest, author, content='', tokenize="ascii tokenchars '+#'");
CREATE VIRTUAL TABLE counts USING fts5vocab(names, row);
CREATE TABLE word (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE, names INTEGER NOT NULL);
CREATE VIRTUAL TABLE spellings USING fts5(word, content='', tokenize='trigram');
"""
COUNTS: Final = """
SELECT (SELECT count(*) FROM {0}.book) + (SELECT count(*) FROM {0}.name WHERE book < 0),
    (SELECT count(*) FROM {0}.isbn), (SELECT count(*) FROM {0}.name)
"""
"""How many books, works without editions among them, ISBNs and names there are; with the name of the database."""


def connect_to_read(path: Path) -> apsw.Connection:
    """Open a finished catalogue, for any thread but one at a time.

    Nothing is locked or written, so that the file may be on a read-only disk. It must not be changed in place; a build
    never does.

    Raises:
        CatalogueError: there is none, or it is not finished, or of another form.
    """
    if not path.is_file():
        raise CatalogueError(_missing(path))
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(f"{path.resolve().as_uri()}?immutable=1", flags=flags)
    except apsw.Error as error:
        raise CatalogueError(f"{path} cannot be opened: {error}. May you read it?") from None
    try:
        application, form = (cast("int", connection.pragma(name)) for name in ("application_id", "user_version"))
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA query_only = ON")
    except (apsw.Error, UnicodeDecodeError):  # it may quote a damaged schema, which need not be text
        connection.close()
        raise CatalogueError(
            f"{path} is not a catalogue. Make one: shelfwire catalogue build DUMP… --out FILE"
        ) from None
    if application != APPLICATION_ID:
        connection.close()
        raise CatalogueError(_not_one(path))
    if form != FORMAT:
        connection.close()
        age = "an older" if form < FORMAT else "a newer"
        raise CatalogueError(
            f"{path} was built by {age} version of shelfwire and cannot be read by this one. Build it again: "
            "shelfwire catalogue build DUMP… --out FILE"
        )
    return connection


def is_catalogue(path: Path) -> bool:
    """Whether a file is a finished catalogue, of whatever version and state: its header says so."""
    try:
        with path.open("rb") as file:
            head = file.read(_ID_AT.stop)
    except OSError:
        return False
    return head.startswith(_SQLITE) and head[_ID_AT] == APPLICATION_ID.to_bytes(4, "big")


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder, not a catalogue. Name the file that shelfwire catalogue build has made"
    if path.with_name(path.name + UNFINISHED).exists() or path.with_name(path.name + STAGE).exists():
        return f"{path} is not finished. Start its build again with the same arguments; it goes on where it was"
    return f"There is no catalogue {path}. Make one: shelfwire catalogue build DUMP… --out {path}"


def _not_one(path: Path) -> str:
    if path.name.endswith((UNFINISHED, STAGE)):
        return f"{path} is a catalogue that is not finished. Start its build again with the same arguments"
    return f"{path} is not a catalogue. Make one: shelfwire catalogue build DUMP… --out FILE"
