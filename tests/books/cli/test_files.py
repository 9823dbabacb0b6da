"""Lists as they come, and what is taken along: workbooks in; failed rows, tables for other sites and pages out."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tests.books.csv_import.workbooks import ods, xlsx, zipped
from tests.cli.conftest import EXPORT, Shelfwire

BOOKS: list[list[Any]] = [
    ["Title", "Author", "ISBN"],
    ["Dune", "Frank Herbert", 9780441013593],
    ["", "Nobody", ""],
    ["Emma", "Jane Austen"],
]


@pytest.fixture
def imported(shelfwire: Shelfwire, server: dict[str, Any]) -> Shelfwire:
    """The example, imported: 166 books, and two rows that failed."""
    assert shelfwire("import", str(EXPORT), "--server", server["url"]).returncode == 0
    return shelfwire


def test_a_workbook_is_imported_and_says_which_sheet_was_read(shelfwire: Shelfwire, tmp_path: Path) -> None:
    path = tmp_path / "books.xlsx"
    path.write_bytes(xlsx(Notes=[["To do"]], Books=BOOKS))
    done = shelfwire("import", str(path))
    assert 'Imported 2 books; 1 row was not imported. The list is the sheet "Books"; not read: "Notes"' in done.stdout
    assert "row 3: (no title): Row 3 has neither a title nor an ISBN" in done.stdout
    table = list(csv.DictReader(io.StringIO(shelfwire("results", "last").stdout)))
    assert [(row["title"], row["isbn13"], row["row"]) for row in table if row["ok"] == "true"] == [
        ("Dune", "9780441013593", "2"),
        ("Emma", "", "4"),
    ]


def test_a_workbook_in_an_archive_and_an_opendocument_sheet_go_the_same_way(
    shelfwire: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    files = {
        "books.ods": ods([["Title", "Author"], ["Emma", "Jane Austen"]]),
        "books.zip": zipped({"b.xlsx": xlsx(B=BOOKS)}),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        done = shelfwire("import", str(tmp_path / name), "--server", server["url"])
        assert (done.returncode, "Imported" in done.stdout) == (0, True), done.stdout
    (tmp_path / "two.zip").write_bytes(zipped({"a.csv": b"Title\nDune\n", "b.csv": b"Title\nEmma\n"}))
    failed = shelfwire("import", str(tmp_path / "two.zip"), "--server", server["url"])
    assert failed.returncode == 1
    assert 'This ZIP archive holds 2 lists: "a.csv", "b.csv". Unpack it and import them one by one.' in failed.stdout


def test_failed_rows_are_corrected_and_imported_again(
    imported: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "failed.csv"
    assert imported("results", "last", "--failed", "--original", "--output", str(path)).returncode == 0
    header, *rows = csv.reader(io.StringIO(path.read_text("utf-8-sig")))
    assert header[:3] == ["reason (shelfwire)", "Book Id", "Title"]
    assert [row[0][:22] for row in rows] == ["Row 89 has neither a t", "The same book as row 4"]
    rows[0][header.index("Title")] = "Found"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    again = imported("import", str(path), "--server", server["url"])
    assert "Imported 2 books" in again.stdout
    found = list(csv.DictReader(io.StringIO(imported("results", "last").stdout)))
    assert [book["title"] for book in found] == ["Found", "Neuromancer (Sprawl, #1)"]
    assert found[1]["isbn13"] == "9780441569595"


def test_a_retry_that_cannot_help_says_so_in_place_of_running(imported: Shelfwire) -> None:
    refused = imported("retry", "last")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "trying again would not help the 2 rows that failed" in refused.stderr
    assert "--failed --original --output failed.csv" in refused.stderr
    assert imported("results", "last", "--failed").stdout.count("\n") == 3, "it is still the job that was imported"


@pytest.mark.parametrize("form", ["goodreads", "csv"])
def test_what_was_imported_comes_back_as_the_same_books(
    imported: Shelfwire, server: dict[str, Any], tmp_path: Path, form: str
) -> None:
    path = tmp_path / "books.csv"
    assert imported("results", "last", "--format", form, "--output", str(path)).returncode == 0
    before = {(book["title"], book["authors"], book["identifiers"]) for book in table(imported)}
    again = imported("import", str(path), "--server", server["url"])
    assert "166 rows" in again.stdout
    assert "Imported 166 books\n" in again.stdout
    assert {(book["title"], book["authors"], book["identifiers"]) for book in table(imported)} == before


def table(shelfwire: Shelfwire) -> list[dict[str, str]]:
    return [row for row in csv.DictReader(io.StringIO(shelfwire("results", "last").stdout)) if row["ok"] == "true"]


def test_the_ending_of_the_output_chooses_the_format(imported: Shelfwire, tmp_path: Path) -> None:
    begins = {
        "b.html": "<!doctype html>",
        "b.HTM": "<!doctype html>",
        "b.json": "[{",
        "b.jsonl": '{"',
        "b.txt": "index,",
    }
    for name, begin in begins.items():
        assert imported("results", "last", "--output", str(tmp_path / name)).returncode == 0
        assert (tmp_path / name).read_text("utf-8").startswith(begin), name
    assert imported("results", "last", "--format", "storygraph").stdout.startswith("Book Id,")
    assert imported("results", "last", "--format", "bookwyrm").stdout.startswith("title,author_text,")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--original", "--format", "html"), "--original rows are written as csv alone"),
        (("--failed", "--status", "ok"), "exclude each other"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(shelfwire: Shelfwire, flags: tuple[str, ...], said: str) -> None:
    refused = shelfwire("results", "last", *flags)
    assert refused.returncode == 2
    assert said in refused.stderr or "No job is known" in refused.stderr


def test_where_nothing_reads_photos_a_person_at_the_machine_learns_what_to_install(
    shelfwire: Shelfwire, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'rapidocr' else find(name, *more)\n"
    )
    photo = tmp_path / "shelf.jpg"
    photo.write_bytes(b"\xff\xd8\xff")
    refused = shelfwire("scan", str(photo), fresh=True, PYTHONPATH=str(tmp_path))
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "pip install 'shelfwire[scan]'" in refused.stderr
    assert "operator" not in refused.stderr
