"""What can be said of README.md and the pages in docs/ without running them; `pages.py` runs them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shelfwire.app import Shelfwire
from shelfwire.protocol.job import Status
from tests.docs.pages import LANGUAGES, ROOT
from tests.docs.shell import Shell, ShellError

DOCS = ROOT / "docs"
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(DOCS.rglob("*.md"))]
PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
MARK = re.compile(r"<!-- skip: (.+?) -->")


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_every_block_is_of_a_language_that_is_tried(self, page: Path) -> None:
        assert [token.content for token in tokens(page) if token.type == "code_block"] == []
        languages = {token.info for token in tokens(page) if token.type == "fence"}
        assert languages - LANGUAGES.keys() == set()

    def test_a_block_that_is_left_out_says_why(self, page: Path) -> None:
        marks = MARK.findall(page.read_text(encoding="utf-8"))
        assert [mark for mark in marks if not re.fullmatch(r'next (".{10,}"|if\(.+, reason=".{10,}"\))', mark)] == []

    def test_every_link_leads_somewhere(self, page: Path) -> None:
        links = [str(token.attrs["href"]) for token in tokens(page) if token.type == "link_open"]
        for link in links:
            path, _, anchor = link.partition("#")
            if "://" in path:
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_found_from_an_index() -> None:
    indexes = [DOCS / "README.md", DOCS / "decisions" / "README.md"]
    linked = {
        (index.parent / link).resolve()
        for index in indexes
        for link in re.findall(r"\(([\w/.-]+\.md)\)", index.read_text(encoding="utf-8"))
    }
    assert [page for page in DOCS.rglob("*.md") if page not in linked] == [DOCS / "README.md"]


def test_the_contract_has_every_route() -> None:
    paths = Shelfwire().openapi()["paths"]
    rows = re.findall(r"^\| (GET|POST|PUT|DELETE) (`.+?) \|", PROTOCOL, re.MULTILINE)
    told = {(method.lower(), path) for method, cell in rows for path in re.findall(r"`(.+?)`", cell)}
    for_people = {("get", path) for path in ("/metrics", "/", "/admin", "/pages/{file}")}
    assert told - for_people == {(method, path) for path, methods in paths.items() for method in methods}


def test_the_contract_has_every_status() -> None:
    assert [status for status in Status if f"\n| `{status}` | " not in PROTOCOL] == []


def test_a_command_that_fails_ends_the_shell_and_is_shown_with_what_it_said(tmp_path: Path) -> None:
    shell = Shell(tmp_path, os.environ)
    assert shell.run("echo well") == "well\n"
    with pytest.raises(ShellError, match=r"(?s)ended with 3.*not well"):
        shell.run("echo not well; exit 3")
    with pytest.raises(ShellError, match="an earlier block has failed"):
        shell.run("echo well")
    shell.close()
