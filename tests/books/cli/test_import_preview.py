"""What an import would make of a file, at the command line, without importing anything."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Here, Shelfwire

LIST = (
    "Title,Author,Score /5,Shop\nDune,Frank Herbert,4,B12\nEmma,Jane Austen,5,\nEmma,Jane Austen,5,\n,,,\n,Nobody,,\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


def test_every_column_is_explained_with_what_says_so_and_examples(here: Here, path: Path) -> None:
    code, out, _ = here("import", str(path), "--explain")
    assert code == 0
    assert "list.csv: a list, 4 rows, header in row 1, utf-8" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["Score", "/5", "rating", "name", "4", "|", "5"] in lines
    assert ["Shop", "-", "B12"] in lines
    assert 'Columns that were not used: Shop ("B12")' in out
    assert "WORD is one of: title, subtitle" in " ".join(out.split())


def test_the_plan_is_there_for_programs(here: Here, path: Path) -> None:
    _, out, _ = here("import", str(path), "--explain", "--json", "--column", "Shop=notes")
    plan = json.loads(out)
    assert plan["columns"][3] == {"column": "Shop", "holds": "notes", "by": "person", "examples": ["B12"]}


def test_a_dry_run_shows_what_would_be_imported_and_imports_nothing(
    here: Here, env: dict[str, str], path: Path
) -> None:
    code, out, _ = here("import", str(path), "--dry-run")
    assert code == 0
    assert "Row 4 would not be imported: The same book as row 3." in out
    assert "Not imported: Row 6 has neither a title nor an ISBN." in out
    assert "Nothing was imported. An import would say: Imported 2 books; 2 rows were not imported" in out
    assert not (Path(env["SHELFWIRE_STATE"]) / "jobs.json").exists()


def test_a_dry_run_for_programs_has_a_line_for_every_row(here: Here, path: Path) -> None:
    _, out, _ = here("import", str(path), "--dry-run", "--json", "--duplicates", "keep")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["ok"] for line in lines] == [True, True, True, False]
    assert lines[0]["result"]["rating"] == 4


@pytest.mark.parametrize("column", ["Shop", "Shop=colour", "=rating"])
def test_a_correction_that_says_nothing_is_refused_with_the_words_there_are(
    here: Here, path: Path, column: str
) -> None:
    code, _, err = here("import", str(path), "--column", column)
    assert code != 0
    assert "WORD is one of: title" in err


def test_corrections_go_to_the_server(shelfwire: Shelfwire, path: Path, tmp_path: Path) -> None:
    output = tmp_path / "found.ndjson"
    assert shelfwire("import", str(path), "--column", "Shop=tags", "--duplicates", "keep").returncode == 0
    shelfwire("results", "last", "--format", "ndjson", "--output", str(output))
    results = [json.loads(line) for line in output.read_text().splitlines()]
    assert results[0]["result"]["tags"] == ["B12"]
    assert [item["ok"] for item in results] == [True, True, True, False]
