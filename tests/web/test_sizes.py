"""The built pages: as their sources say, and small."""

import gzip
import re
from pathlib import Path
from typing import Final

import pytest

from shelfwire import web
from tests.processes import ROOT
from tests.typescript.node import node, run

SOURCES: Final = ROOT / "clients" / "web"
PAGES: Final = Path(web.__file__).with_name("pages")
READER_SCRIPT: Final = 32_050
READER_STYLE: Final = 6_000
ADMIN: Final = 40_000


def gzipped(*names: str) -> int:
    """The size of built files together, in bytes, as a browser loads them."""
    found = {name: len(gzip.compress((PAGES / name).read_bytes(), 9)) for name in names if (PAGES / name).exists()}
    print(f"bytes, gzipped: {found}")  # noqa: T201 - pytest shows it with -rA
    return sum(found.values())


def test_the_readers_page_stays_small() -> None:
    assert 0 < gzipped("reader.js") <= READER_SCRIPT
    assert 0 < gzipped("pages.css", "reader.css") <= READER_STYLE


def test_the_operators_page_stays_small() -> None:
    assert gzipped("admin.js", "pages.css", "admin.css") <= ADMIN


def test_the_committed_pages_are_what_their_sources_make(tmp_path: Path) -> None:
    program = node(SOURCES)
    built = run([program, "build.mjs", str(tmp_path)], SOURCES)
    assert built.returncode == 0, built.stderr
    stale = [path.name for path in tmp_path.iterdir() if (PAGES / path.name).read_bytes() != path.read_bytes()]
    assert not stale, "run `make pages` and commit what it writes"


def test_the_types_of_the_pages_are_sound() -> None:
    node(SOURCES)
    checked = run([str(SOURCES / "node_modules" / ".bin" / "tsc"), "--noEmit"], SOURCES)
    assert checked.returncode == 0, checked.stdout


def test_the_pure_parts_of_the_pages_pass_their_own_tests() -> None:
    program = node(SOURCES)
    folder = SOURCES / "node_modules" / ".tests"  # where Node finds their packages
    built = run([program, "build.mjs", "--tests", str(folder)], SOURCES)
    assert built.returncode == 0, built.stderr
    tried = run([program, "--test", str(folder)], SOURCES)
    assert tried.returncode == 0, tried.stdout[-10_000:]
    passed = re.search(r"^# pass (\d+)$", tried.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 15


def test_the_lock_of_the_pages_names_no_registry() -> None:
    lock = (SOURCES / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock


@pytest.mark.parametrize("name", ["index.html", "admin.html"])
def test_a_page_has_no_script_or_style_of_its_own(name: str) -> None:
    page = (PAGES / name).read_text(encoding="utf-8")
    assert "<style" not in page
    assert page.count("<script") == page.count('<script type="module" src=') == 1
