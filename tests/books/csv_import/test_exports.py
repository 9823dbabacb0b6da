"""Whole exports, and what the person whose list it is expects of them: a file beside each says it, row by row.

`NAME.expected.json` has under `rows`, by the row's number in the file, the members of the book that are checked
(`null`: absent), or `"refused"`. Tags, dates of reads and identifiers may hold more than what is named.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem
from shelfwire.books.csv_import.verdicts import verdicts

OWN: Final = Path(__file__).with_name("exports")
REFUSED: Final = "refused"


def outcomes(path: Path) -> dict[int, Any]:
    """By row number, the members of each imported book; for other rows, `REFUSED`."""
    found: dict[int, Any] = {}
    for verdict in verdicts(BookFile(path.read_bytes())):
        match verdict:
            case ImportedBook():
                found[verdict.row] = json.loads(msgspec.json.encode(verdict))
            case (RepeatedBook(row=row), _) | RowProblem(row=row):
                found[row] = REFUSED
    return found


def agrees(wanted: Any, found: Any) -> bool:
    """Whether a member is as wanted; lists of which only some elements are named need to hold these."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and wanted.items() <= found.items()
    return bool(wanted == found)


def mistakes(path: Path) -> Iterator[str]:
    """What of an export came out otherwise than its expectations say."""
    expected: Mapping[str, Any] = json.loads(expectations(path).read_text(encoding="utf-8"))["rows"]
    found = outcomes(path)
    for number, wanted in expected.items():
        book = found.get(int(number), "no such row")
        if REFUSED in (wanted, book) or isinstance(book, str):
            if wanted != book:
                yield f"row {number}: {wanted} expected, {book} found"
            continue
        for member, value in wanted.items():
            has = book.get(member)
            if member in ("tags", "datesRead") and value is not None:
                has = [element for element in has or () if element in value]
            if not agrees(value, has):
                yield f"row {number}: {member} {value!r} expected, {book.get(member)!r} found"


def expectations(path: Path) -> Path:
    return path.with_name(f"{path.stem}.expected.json")


def exports(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.[ct]sv")) if expectations(path).is_file()]


@pytest.mark.parametrize("path", exports(OWN), ids=lambda path: path.stem)
def test_an_export_comes_out_as_its_reader_expects(path: Path) -> None:
    assert list(mistakes(path)) == []


def test_every_sample_export_comes_out_as_its_reader_expects(samples: Path) -> None:
    found = {path.stem: wrong for path in exports(samples / "exports") if (wrong := list(mistakes(path)))}
    assert found == {}
