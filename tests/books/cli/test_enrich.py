"""Looking up a list of books at the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, Catalogues, library, serving_in_thread
from tests.cli.conftest import Shelfwire

BOOKS = library(5)


@pytest.fixture
def services() -> Iterator[Catalogues]:
    with serving_in_thread(Catalogues({OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS})) as served:
        yield served


@pytest.fixture
def known(services: Catalogues) -> dict[str, Any]:
    return {f"SHELFWIRE_{name.upper()}": str(value) for name, value in services.settings.items()}


@pytest.fixture
def as_csv(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    rows = [f"{book.title},{book.author},{book.isbn13}\n" for book in BOOKS]
    path.write_text("".join(["Title,Author,ISBN\n", *rows, ",,\n", "A Book Nobody Wrote,Nobody,\n"]))
    return path


def test_a_list_in_csv_is_looked_up_and_written_as_csv(
    shelfwire: Shelfwire, known: dict[str, Any], as_csv: Path, tmp_path: Path
) -> None:
    output = tmp_path / "found.csv"
    done = shelfwire("enrich", str(as_csv), "--output", str(output), **known)
    assert done.returncode == 0, done.stderr
    assert "Found 5 books; 1 was not found" in done.stdout
    assert "A Book Nobody Wrote" in done.stdout, "what was not found is listed"
    header, *rows = output.read_text(encoding="utf-8-sig").splitlines()
    assert "publishedDate" in header
    assert len(rows) == 6
    assert all(book.isbn13 in row for book, row in zip(BOOKS, rows, strict=False))


def test_a_list_is_never_written_over_nor_a_folder_found_only_when_the_books_are(
    shelfwire: Shelfwire, as_csv: Path, tmp_path: Path
) -> None:
    before = as_csv.read_text()
    for output, said in ((as_csv, "is the file to read"), (tmp_path, "is a folder")):
        refused = shelfwire("enrich", str(as_csv), "--output", str(output))
        assert refused.returncode == 2
        assert said in refused.stderr
    assert as_csv.read_text() == before
    assert "list.csv" not in shelfwire("jobs").stdout, "nothing was started"


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_list_in_json_is_looked_up_and_written_as_json(
    shelfwire: Shelfwire, known: dict[str, Any], tmp_path: Path, *, wrapped: bool
) -> None:
    path, output = tmp_path / "list.json", tmp_path / "found.json"
    books = [book.asked for book in BOOKS]
    path.write_text(json.dumps({"books": books} if wrapped else books))
    done = shelfwire("enrich", str(path), "--output", str(output), **known)
    assert done.returncode == 0, done.stderr
    items = json.loads(output.read_text())
    assert [item["result"]["description"] for item in items] == [f"A novel about number {n}." for n in range(5)]


def test_a_lookup_is_known_among_the_jobs_and_its_results_can_be_had_later(
    shelfwire: Shelfwire, known: dict[str, Any], as_csv: Path
) -> None:
    shelfwire("enrich", str(as_csv), **known)
    assert "list.csv" in shelfwire("jobs").stdout
    lines = shelfwire("results", "last", "--format", "ndjson", "--status", "failed").stdout.splitlines()
    assert [json.loads(line)["error"]["code"] for line in lines] == ["E_ENRICHMENT_FAILED"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.json", "{", "is not JSON"),
        ("list.json", "[" * 9999, "is not JSON"),
        ("list.json", '{"titles": []}', "holds no list of books"),
        ("list.json", "[]", "has no books in it"),
        ("list.csv", "Title,Author\n", "has no books in it"),
        ("list.csv", "Title\n" + "".join(f"Book {n}\n" for n in range(1001)), "1,001 books"),
        ("list.csv", "<html><body>Sign in</body></html>", "list.csv"),
    ],
)
def test_a_file_that_is_no_list_of_books_is_refused_with_what_to_do(
    shelfwire: Shelfwire, tmp_path: Path, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    refused = shelfwire("enrich", str(path))
    assert refused.returncode == 2, refused.stderr
    assert said in refused.stderr


def test_a_bad_book_in_json_is_named_as_the_server_names_it(shelfwire: Shelfwire, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"title": "Emma"}, {"author": "Frank Herbert"}]')
    refused = shelfwire("enrich", str(path))
    assert refused.returncode == 4
    assert "The title of book 2 is missing" in refused.stderr
