"""shelfwire at work, in a temporary folder: a server, two imports with their live bars, a lookup, the list of jobs.

make demo
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

HOME: Final = Path(__file__).resolve().parent.parent
EXPORT: Final = "examples/goodreads_export.csv"
CATALOGUE: Final = "examples/catalogue.csv"
CLASSICS: Final = "examples/classics.csv"
MAKER: Final = "examples/make_library.py"
ROWS: Final = 50_000
FEW: Final = "0.0001"
"""The share of duplicates, and of broken rows: five of each."""
STOP_SECONDS: Final = 15
GROWN: Final = 3000
"""Characters at the end of the server's log that are shown when something goes wrong."""

console = Console(highlight=False)


class DemoError(Exception):
    """A step of the demo failed."""


def main() -> int:
    """Run the demo and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="shelfwire-demo-") as name:
        folder = Path(name)
        environ = _environ(folder)
        try:
            with _server(folder, environ) as url:
                _story(url, folder / "library.csv", environ)
        except DemoError as error:
            console.print(Text(f"\nThe demo stopped: {error}", "bold red"))
            with contextlib.suppress(OSError):
                console.print(Text((folder / "server.log").read_text()[-GROWN:]))
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
    _say("\nThat was it; the temporary folder is gone. Read next:")
    console.print("  README.md           what it is, and how to begin\n  shelfwire --help    everything it can do")
    _say("\nThe same in a browser, with a server that stays: make demo-web")
    console.print("  http://127.0.0.1:8787/")
    return 0


def _story(url: str, library: Path, environ: Mapping[str, str]) -> None:
    _say("\nA reader's export; rows that cannot be imported are listed:")
    _shelfwire("import", EXPORT, "--server", url, environ=environ)
    _say(f"\nA library of {ROWS:,} books, with five duplicates and five broken rows in it:")
    _make_library(library)
    _shelfwire("import", str(library), "--server", url, environ=environ)
    _say("\nMore about the books of a list, from a small catalogue that is built on the way, without any network:")
    catalogue = library.with_name("catalogue.sqlite3")
    _shelfwire("catalogue", "build", CATALOGUE, "--out", str(catalogue), environ=environ)
    offline = {"SHELFWIRE_CATALOGUE": str(catalogue), "SHELFWIRE_PROVIDERS": "catalogue"}
    apart = str(library.with_name("enriching"))
    _shelfwire("enrich", CLASSICS, "--data", apart, environ={**environ, **offline})
    _say("\nEvery job can be found again:")
    _shelfwire("jobs", environ=environ)


def _environ(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHELFWIRE_")}
    return {**kept, "SHELFWIRE_STATE": str(folder / "state"), "SHELFWIRE_DATA": str(folder / "data")}


@contextlib.contextmanager
def _server(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    _say("A server, on a free port of this machine:")
    _prompt("shelfwire", "serve", "--port", "0", "--json", "&")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shelfwire", "serve", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environ,
            process_group=0,  # Ctrl-C is for the demo, which then stops its server
        )
    with process:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        try:
            line = process.stdout.readline()
            if not line:
                raise DemoError("the server did not start")
            console.print(Text(line.decode().strip()), soft_wrap=True)
            yield json.loads(line)["url"]
            _say("\nThe server stops, and releases the jobs that it was running:")
            _prompt("kill", str(process.pid))
        finally:
            process.terminate()
            code = process.wait(STOP_SECONDS)
    if code:
        raise DemoError(f"the server ended with {code}")


def _shelfwire(*words: str, environ: Mapping[str, str]) -> None:
    _prompt("shelfwire", *words)
    sys.stdout.flush()
    code = subprocess.run([sys.executable, "-m", "shelfwire", *words], cwd=HOME, env=environ, check=False).returncode
    if code:
        raise DemoError(f"shelfwire {words[0]} ended with {code}")


def _make_library(path: Path) -> None:
    words = [MAKER, str(ROWS), "--duplicates", FEW, "--broken", FEW]
    _prompt("python", *words, ">", str(path))
    with path.open("wb") as file:
        code = subprocess.run([sys.executable, *words], cwd=HOME, stdout=file, check=False).returncode
    if code:
        raise DemoError(f"{MAKER} ended with {code}")


def _say(text: str) -> None:
    console.print(Text(text, "bold"))


def _prompt(*words: str) -> None:
    line = " ".join(word if word in {"&", ">"} else shlex.quote(word) for word in words)
    console.print(Text.assemble(("$ ", "green"), (line, "cyan")), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
