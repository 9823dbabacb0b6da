"""Lists within other files: a workbook (.xlsx, .ods) becomes CSV, a .zip the one list in it.

What is here computes for long on large files, and hands the bytes of strangers to a reader that is not ours: it belongs
into a process of its own, see `unpacking`.
"""

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import PurePosixPath
from typing import Any, Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from shelfwire.books.csv_import.problems import UnreadableCsv
from shelfwire.books.csv_import.sheets import Joined, Sheet, one_list
from shelfwire.books.csv_import.unpacking import Unpacked, is_container
from shelfwire.safe_text import safe_line

MAX_ENTRIES: Final = 10_000
"""A workbook with a picture on every row has some thousand files in it."""
MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
"""All files of a workbook together; 100,000 books with 24 columns are 100 MB of XML."""
MAX_LIST_BYTES: Final = 64 * 1024 * 1024
"""A list in an archive, or a sheet as CSV."""
MAX_RATIO: Final = 250
"""How many times its size an archive may grow; XML of rows that are alike shrinks to a hundredth."""
RATIO_MATTERS_FROM: Final = 16 * 1024 * 1024
MAX_SHEETS: Final = 100
EXACT_BELOW: Final = 1e15
"""Spreadsheets keep fifteen digits of a number."""
MAX_NAMED: Final = 5
MAX_MERGED: Final = 10_000
MAX_ROWS_MERGED: Final = 1_000
"""The most ranges of merged cells that are looked at, and the most rows of one."""
_LISTS: Final = frozenset({".csv", ".tsv", ".tab", ".xlsx", ".xlsm", ".xlsb", ".ods"})
_MAYBE_LISTS: Final = frozenset({".txt", ""})
_ARCHIVES: Final = frozenset({".zip", ".gz", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz"})
_ODS: Final = b"application/vnd.oasis.opendocument.spreadsheet"
_DOCUMENTS: Final = (
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a presentation"),
    ("META-INF/container.xml", "an e-book"),
    ("Index/Document.iwa", "a Numbers or Pages document"),
    ("content.xml", "an OpenDocument text or drawing"),
)
"""What other archives hold that are documents."""
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What the standard library raises on archives that are not what they say."""
_AS_CSV: Final = "Save the list as CSV in your spreadsheet program and import that file."


def unpack(data: bytes) -> Unpacked:
    """Take the list out of a container.

    Raises:
        UnreadableCsv: there is none, or several, or it is too large; the message says what to do.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive, len(data))
            if _is_workbook(archive):
                return _of_workbook(data)
            entry = _only_list(archive)
            content = _content(archive, entry)
        if is_container(content):
            return _of_packed_workbook(content)
    except UnreadableCsv:
        raise
    except _DAMAGED:
        raise UnreadableCsv("This ZIP archive is damaged, or cut off. Make or download it again.") from None
    return Unpacked(content, f"The list is {_quoted(entry.filename)} in the archive")


def _of_packed_workbook(content: bytes) -> Unpacked:
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        _check_size(inner, len(content))
        if not _is_workbook(inner):
            raise UnreadableCsv("This ZIP archive holds another archive. Unpack both and import the list inside.")
    return _of_workbook(content)


def _check_size(archive: zipfile.ZipFile, packed: int) -> None:
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    bomb = unpacked > RATIO_MATTERS_FROM and unpacked > MAX_RATIO * packed
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED_BYTES or bomb:
        raise UnreadableCsv(f"This file unpacks to far more than a list of books can be. {_AS_CSV}")


def _is_workbook(archive: zipfile.ZipFile) -> bool:
    names = frozenset(archive.namelist())
    if not names.isdisjoint(("xl/workbook.xml", "xl/workbook.bin")):
        return True
    if "mimetype" not in names or "content.xml" not in names:
        return False
    with archive.open("mimetype") as file:
        return file.read(len(_ODS)) == _ODS


def _only_list(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    names = frozenset(archive.namelist())
    kind = next((kind for name, kind in _DOCUMENTS if name in names), None)
    if kind is not None:
        raise UnreadableCsv(f"This is {kind}, not a list of books. {_AS_CSV}")
    files = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_clutter(entry.filename)]
    lists = [entry for entry in files if _ending(entry) in _LISTS]
    lists = lists or [entry for entry in files if _ending(entry) in _MAYBE_LISTS]
    if len(lists) == 1:
        return lists[0]
    if lists:
        raise UnreadableCsv(
            f"This ZIP archive holds {len(lists)} lists: {_names(lists)}. Unpack it and import them one by one."
        )
    if not files:
        raise UnreadableCsv("This ZIP archive is empty. Make or download it again.")
    if any(_ending(entry) in _ARCHIVES for entry in files):
        raise UnreadableCsv("This ZIP archive holds another archive. Unpack both and import the list inside.")
    raise UnreadableCsv(f"This ZIP archive holds no list of books, but {_names(files)}. Import a CSV file.")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.flag_bits & 1:
        raise UnreadableCsv("This ZIP archive has a password. Unpack it and import the list inside.")
    with archive.open(entry) as file:
        content = file.read(MAX_LIST_BYTES + 1)
    if len(content) > MAX_LIST_BYTES:
        raise UnreadableCsv(_too_large(_quoted(entry.filename)))
    if not content:
        raise UnreadableCsv(f"{_quoted(entry.filename)} in this ZIP archive is empty. Export the list again.")
    return content


def _of_workbook(data: bytes) -> Unpacked:
    """The sheets that are a list, as CSV; see `one_list`."""
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            sheets = _sheets(workbook)
            filled = [
                Sheet(name, text) for name in sheets if (text := _csv_of(workbook.get_sheet_by_name(name))).strip()
            ]
            hidden = [name for name in _hidden(workbook, sheets) if workbook.get_sheet_by_name(name).height]
    except PasswordError:
        raise UnreadableCsv(f"This workbook has a password. {_AS_CSV}") from None
    except CalamineError:
        raise UnreadableCsv(f"This workbook is damaged, or cut off. {_AS_CSV}") from None
    if not filled:
        raise UnreadableCsv("There is nothing in this workbook. Check that it is the right one.")
    found = one_list(filled)
    if len(found.text) > MAX_LIST_BYTES:
        raise UnreadableCsv(_too_large("The list in this workbook"))
    return Unpacked(found.text.encode("utf-8", "replace"), _note(found, filled, hidden))


def _note(found: Joined, filled: Sequence[Sheet], hidden: Sequence[str]) -> str:
    """What a person should know of the sheets: which were read, and how the rows of several are numbered."""
    read = dict(found.starts)
    others = [_quoted(sheet.name) for sheet in filled if sheet.name not in read]
    others += [f"{_quoted(name)} (hidden)" for name in hidden]
    parts = []
    if len(read) > 1:
        more = found.starts[1:]
        numbered = _few([f"row 1 of {_quoted(name)} is {start + 1:,}" for name, start in more])
        parts.append(f"Read as one list: {_few(list(map(_quoted, read)))}; rows are numbered on, {numbered}")
    elif others:
        parts.append(f"The list is the sheet {_quoted(found.starts[0][0])}")
    if others:
        parts[-1] += f"; not read: {_few(others)}"
        parts.append("Save what else is a list of books as a file of its own, and import that too")
    return ". ".join(parts)


def _sheets(workbook: CalamineWorkbook) -> Sequence[str]:
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    shown = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
    return (shown or [sheet.name for sheet in sheets])[:MAX_SHEETS]


def _hidden(workbook: CalamineWorkbook, read: Sequence[str]) -> Sequence[str]:
    """The sheets that are hidden and not read."""
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    return [sheet.name for sheet in sheets if sheet.visible != SheetVisibleEnum.Visible and sheet.name not in read][
        :MAX_SHEETS
    ]


def _csv_of(sheet: CalamineSheet) -> str:
    """A sheet as CSV, row for row, so that rows keep their numbers."""
    text = io.StringIO()
    # Says the delimiter, which need not be guessed then; a line of its own that is no row.
    if sheet.width > 1:
        text.write("sep=,\n")
    table = csv.writer(text, lineterminator="\n")
    merged = _merged_down(sheet)
    above: list[str] = []
    for number, row in enumerate(sheet.iter_rows()):
        cells = [_text(cell) for cell in row]
        for column in merged.get(number, ()):
            if 0 <= column < len(above):
                cells[column] = above[column]
        above = cells
        if any(cells):
            table.writerow(cells)
        else:
            text.write("\n")
        if text.tell() > MAX_LIST_BYTES:
            raise UnreadableCsv(_too_large(f"The sheet {_quoted(sheet.name)}"))
    return text.getvalue()


def _merged_down(sheet: CalamineSheet) -> Mapping[int, Sequence[int]]:
    """By row, from 0, the columns whose cell is one with the cell above it: an author beside several of their books."""
    found: dict[int, list[int]] = {}
    ranges = sheet.merged_cell_ranges or ()
    left = sheet.start[1] if sheet.start else 0  # empty columns on the left are no cells
    for (first, column), (last, _) in ranges[:MAX_MERGED]:
        for number in range(first + 1, min(last, first + MAX_ROWS_MERGED) + 1):
            found.setdefault(number, []).append(column - left)
    return found


def _text(cell: Any) -> str:
    """A cell as a person sees it."""
    match cell:
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < EXACT_BELOW:
            # A spreadsheet may show an ISBN as 9.78E+12, and has the whole number.
            return str(int(cell))
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")
        case date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def _is_clutter(name: str) -> bool:
    """What systems put beside the files of a person."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith(".") or path.name in ("Thumbs.db", "desktop.ini")


def _ending(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename).suffix.lower()


def _names(entries: Iterable[zipfile.ZipInfo]) -> str:
    return _few([_quoted(PurePosixPath(entry.filename).name) for entry in entries])


def _few(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return f'"{safe_line(name)[:80]}"'


def _too_large(what: str) -> str:
    return f"{what} is larger than {MAX_LIST_BYTES >> 20} MiB. Split it and import the parts one by one."
