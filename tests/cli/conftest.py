"""A command line as a person has it: processes, a server on a free port, folders of their own."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from examples.make_library import write_library

from shelfwire.cli import main
from tests.processes import ROOT, Process

EXPORT = ROOT / "examples" / "goodreads_export.csv"
TIMEOUT = 60
MANY = 20_000
FLUSH_SECONDS = "0.3"
"""5,000 rows wait for a commit at most, so on any machine the library takes more than a second."""

Shelfwire = Callable[..., "subprocess.CompletedProcess[str]"]
Here = Callable[..., tuple[int, str, str]]
Start = Callable[..., Process]


def environment(folder: Path) -> dict[str, str]:
    ours = ("SHELFWIRE_", "GEMINI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    own = {
        "STATE": str(folder / "state"),
        "DATA": str(folder / "data"),
        "FLUSH_INTERVAL": FLUSH_SECONDS,
        "CREATE_LIMIT": "0",
    }
    return {**kept, **{f"SHELFWIRE_{name}": value for name, value in own.items()}, "COLUMNS": "200"}


def spawn(*words: str, env: dict[str, str], fresh: bool = False) -> Process:
    return Process("-m", "shelfwire", *words, env=env, fresh=fresh)


def ended(process: Process) -> "subprocess.CompletedProcess[str]":
    out, err = process.communicate(timeout=TIMEOUT)
    return subprocess.CompletedProcess((), process.wait(), out, err)


def read_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def read_until(process: Process, word: str) -> str:
    """Read the output up to the first line with `word` in it."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"{word!r} never came; errors: {ended(process).stderr}")


def entries(env: dict[str, str]) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = json.loads((Path(env["SHELFWIRE_STATE"]) / "jobs.json").read_bytes())["jobs"]
    return jobs


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


@pytest.fixture
def start(env: dict[str, str]) -> Iterator[Start]:
    """Starts commands, which end with the test at the latest."""
    with contextlib.ExitStack() as stack:

        def started(*words: str, fresh: bool = False, **more: str) -> Process:
            return stack.enter_context(spawn(*words, env={**env, **more}, fresh=fresh))

        yield started


@pytest.fixture
def shelfwire(start: Start) -> Shelfwire:
    """Runs a command to its end."""

    def run(*words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        return ended(start(*words, **more))

    return run


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], env: dict[str, str]) -> Here:
    """Runs a command in this process, for those that need no server of their own."""
    for name in ("SHELFWIRE_STATE", "SHELFWIRE_DATA", "COLUMNS"):
        monkeypatch.setenv(name, env[name])

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server for all tests that only need one: its `url`, `data` and `pid`."""
    with spawn("serve", "--port", "0", "--json", env=environment(tmp_path_factory.mktemp("server"))) as process:
        where: dict[str, Any] = json.loads(read_line(process))
        yield where
        process.terminate()
        process.communicate(timeout=TIMEOUT)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list that takes some seconds to import."""
    path = tmp_path_factory.mktemp("library") / "library.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_library(file, MANY, broken=0.00015)
    return path
