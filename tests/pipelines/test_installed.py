"""Pipelines of one's own: given as arguments, or installed as a package of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shelfwire.app import Shelfwire
from shelfwire.jobs.context import Job
from shelfwire.pipelines import PipelineError, gather
from shelfwire.settings import Settings

MODULE = """
class Greetings:
    name = "greetings"

    async def run(self, job):
        return "Hello"
"""
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Makes a folder in which a package with these entry points and this module is installed."""

    def make(points: str, module: str = MODULE) -> Path:
        site = tmp_path / "site"
        information = site / "greetings-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.4\nName: greetings\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[shelfwire.pipelines]\n{points}\n")
        (site / "greetings.py").write_text(module)
        return site

    return make


def run(site: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    own = {"PYTHONPATH": os.pathsep.join([str(site), *sys.path]), "DATA": str(site / "data"), "PORT": "0"}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *words],
        env={**os.environ, **{name if name == "PYTHONPATH" else f"SHELFWIRE_{name}": own[name] for name in own}},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Named:
    def __init__(self, name: object) -> None:
        self.name = name

    async def run(self, _: Job) -> str:
        return "Done"


class Sync:
    name = "sync"

    def run(self, _: Job) -> str:
        return "Done"


PROGRAM = """
import asyncio, os
from shelfwire.app import Shelfwire
from shelfwire.settings import load

async def main():
    jobs = Shelfwire(load({}, os.environ))
    async with jobs.lifespan():
        token = await jobs.start("greetings", {"request": b"{}"})
        async with jobs.service.follow_with(token.token, token.job_id) as follower:
            async for frame in follower.frames():
                if frame.state.ended:
                    print(frame.state.summary)
                    break

asyncio.run(main())
"""


def test_an_installed_pipeline_runs_jobs(install: Install) -> None:
    done = run(install("greetings = greetings:Greetings"), "-c", PROGRAM)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["Hello"]), done.stderr


def test_a_broken_package_stops_the_server_with_one_line_that_names_it(install: Install) -> None:
    done = run(install("greetings = nowhere:Greetings"), "-m", "shelfwire", "serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "shelfwire: The server cannot start. The entry point 'greetings = nowhere:Greetings' (group "
        "shelfwire.pipelines, package greetings 1.0) cannot be loaded: ModuleNotFoundError: No module named 'nowhere'. "
        "Repair or uninstall the package\n"
    )


@pytest.mark.parametrize(
    ("points", "module", "reason"),
    [
        ("greetings = greetings:Greeting", MODULE, "AttributeError: module 'greetings' has no attribute 'Greeting'"),
        ("greetings = greetings:Greetings", "import no_such_library", "No module named 'no_such_library'"),
        ("greetings = greetings:Greetings", "class Greetings:\n    def __init__(self, x): ...", "TypeError: "),
        ("greetings = greetings:Greetings", "class Greetings: ...", "has no name"),
        ("greetings = greetings:Greetings", MODULE.replace('"greetings"', '"a/b"'), "has the name 'a/b'"),
        ("greetings = greetings:Greetings", MODULE.replace("async def", "def"), "async def run(self, job)"),
        ("a = greetings:Greetings\nb = greetings:Greetings", MODULE, "as has another: The entry point 'a = "),
    ],
)
def test_an_entry_point_that_leads_to_no_pipeline_is_named(
    install: Install, monkeypatch: pytest.MonkeyPatch, points: str, module: str, reason: str
) -> None:
    monkeypatch.syspath_prepend(install(points, module))
    monkeypatch.delitem(sys.modules, "greetings", raising=False)
    with pytest.raises(PipelineError) as refused:
        gather()
    monkeypatch.delitem(sys.modules, "greetings", raising=False)
    assert reason in str(refused.value)
    assert "package greetings 1.0" in str(refused.value)


@pytest.mark.parametrize("name", [None, "", 7, "two words", "a/b", "-first", "ü", "x" * 65, "line\n"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(PipelineError, match="letters, digits"):
        Shelfwire(Settings(data=tmp_path), pipelines=[Named(name)])  # type: ignore[list-item]


@pytest.mark.parametrize("pipeline", [Sync(), Sync, object])
def test_what_is_no_pipeline_is_refused(pipeline: object) -> None:
    with pytest.raises(PipelineError):
        gather([pipeline])  # type: ignore[list-item]


def test_a_given_pipeline_takes_the_place_of_the_one_that_comes_with_shelfwire() -> None:
    mine: Any = Named("csv_import")
    assert gather([mine])["csv_import"] is mine


def test_two_given_pipelines_with_one_name_are_refused() -> None:
    with pytest.raises(PipelineError, match="Rename one of them"):
        gather([Named("mine"), Named("mine")])  # type: ignore[list-item]
