"""Whether the meaning of a file's columns is certain or only guessed."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from shelfwire.books.bibliography.isbn import looks_like_isbn
from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import OTHER_COLUMNS
from shelfwire.books.csv_import.cell_kinds import is_number, share
from shelfwire.books.csv_import.columns import GENERIC, column_of
from shelfwire.books.csv_import.dialect import Layout
from shelfwire.books.csv_import.joined_titles import JOINED, TITLES

_AUTHORS: Final = frozenset({"author", "inverted_author", *JOINED}) - {"numbered_title", "remarked_title"}
_ISBNS: Final = frozenset({"isbn", "isbn13"})
_NAMED: Final = frozenset({"name", "export", "person"})
_LONG: Final = 120
_MORE_THAN_A_TITLE: Final = re.compile(
    r"""
    \s(?:by|von|par|av|door|di|por)\s+[^\W\d_a-z]   # "Dune by Frank Herbert"
    | \s[-\u2013\u2014|/]\s                          # "Dune - Frank Herbert"
    | ,\s*[^\W\d_a-z]                                # "Dune, Frank Herbert", but not "The Lion, the Witch"
    | [(\[,]\s*(?:1[5-9]|20)\d\d\b                   # "Dune (1965)"
    | \d[\d\s-]{8,}[\dX]                             # an ISBN beside something
    | [\t;|]
    """,
    re.VERBOSE,
)
_ENOUGH: Final = 0.25
"""The share of cells that hold more than a title from which on a single column is free text."""


class Doubt(StrEnum):
    """What cannot be decided without understanding the words."""

    COLUMNS = "columns"
    """It is a table, and one of its essential columns is only guessed."""
    TEXT = "text"
    """The rows are free text that contains the title."""


def doubt_of(layout: Layout) -> Doubt | None:
    """Return what is only guessed of a file; None if all that matters is certain.

    Certain are

    - an export of a kind that is known by its columns;
    - a table whose header names the title, and either names the author or has no column of words without a meaning;
    - a table whose header names the ISBN, and has no column that must be guessed to be the title;
    - a single column, with or without header, of ISBNs or of bare titles: three out of four hold no more than a title.

    A single column that holds more is free text, and so are rows that agree on no number of cells. Everything else is a
    table of uncertain columns.
    """
    columns, sample = layout.columns, layout.sample
    if columns.source != GENERIC or not sample:
        return None
    if len(columns.names) <= 1:
        return _of_one_column(layout)
    if not layout.header_row:
        return Doubt.COLUMNS
    named = named_fields(layout)
    fields = set(named.values())
    unexplained = [index for index in _words(sample, len(columns.names)) if _has_no_meaning(layout, index, named)]
    if fields & TITLES:
        return Doubt.COLUMNS if unexplained and not fields & _AUTHORS else None
    guessed = "title" in {field for index, field in columns.fields if index not in named}
    return None if fields & _ISBNS and not guessed else Doubt.COLUMNS


def named_fields(layout: Layout) -> dict[int, str]:
    """The columns, from 0, that a header names with a word that is known, and what they hold."""
    if not layout.header_row:
        return {}
    columns = layout.columns
    return {index: field for index, field in columns.fields if columns.by.get(index) in _NAMED}


def _of_one_column(layout: Layout) -> Doubt | None:
    rows = [layout.delimiter.join(row).strip() for row in layout.sample]
    if share(rows, looks_like_isbn) > 1 / 2:
        return None
    more = sum(len(row) > _LONG or _MORE_THAN_A_TITLE.search(row) is not None for row in rows)
    return Doubt.TEXT if more >= _ENOUGH * len(rows) else None


def _words(sample: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns, from 0, that hold words and not numbers."""
    columns = {index: list(column_of(sample, index)) for index in range(width)}
    return [index for index, cells in columns.items() if cells and share(cells, is_number) <= 1 / 2]


def _has_no_meaning(layout: Layout, index: int, named: dict[int, str]) -> bool:
    return index not in named and text_key(layout.columns.names[index]) not in OTHER_COLUMNS
