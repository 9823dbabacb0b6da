"""The tables of docs/protocol.md are what the code says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.books.settings import BookSettings
from shelfwire.errors import Code
from shelfwire.protocol.close_codes import CLOSES
from shelfwire.settings import fields

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    return Path(shutil.copytree(DOCS, tmp_path / "docs"))


def tables(docs: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(docs / "tables.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script


def test_the_tables_are_as_the_code_has_them() -> None:
    checked = tables(DOCS, "--check")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_code_has_a_line() -> None:
    text = (DOCS / "protocol.md").read_text(encoding="utf-8")
    assert [code for code in (*Code, *BookCode) if f"\n| `{code}` | " not in text] == []
    assert [code for code in CLOSES if f"\n| {int(code)} | " not in text] == []


def test_every_setting_has_a_line_with_its_meaning() -> None:
    text = (DOCS / "protocol.md").read_text(encoding="utf-8")
    names = [field.name for field in fields([BookSettings])]
    assert [name for name in names if f"| `SHELFWIRE_{name.upper()}` " not in text] == []


def test_a_stale_table_is_told_and_written_again(docs: Path) -> None:
    protocol = docs / "protocol.md"
    fresh = protocol.read_text(encoding="utf-8")
    protocol.write_text(fresh.replace("| `E_FORBIDDEN` | 403 |", "| `E_FORBIDDEN` | 404 |"), encoding="utf-8")
    checked = tables(docs, "--check")
    assert (checked.returncode, "make docs" in checked.stderr) == (1, True)
    assert tables(docs).returncode == 0
    assert protocol.read_text(encoding="utf-8") == fresh


def test_a_document_that_lost_a_place_is_left_alone(docs: Path) -> None:
    protocol = docs / "protocol.md"
    spoiled = protocol.read_text(encoding="utf-8").replace("docs/tables.py: close codes", "nobody")
    protocol.write_text(spoiled, encoding="utf-8")
    done = tables(docs)
    assert (done.returncode, "one place for each of" in done.stderr) == (1, True)
    assert protocol.read_text(encoding="utf-8") == spoiled
