"""Pipelines of others: found by their entry points or handed over, or refused with what to do about it."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from examples.own_pipeline import WordCount

from shelfwire.app import Shelfwire
from shelfwire.client import Client
from shelfwire.client.http import Upload
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import PluginError, compose
from shelfwire.settings import Settings

ROOT = Path(__file__).parents[1]
BASE = "from shelfwire import Pipeline\n\nclass WordCount(Pipeline):\n"
HEAD = f"{BASE}    name = 'word_count'\n"
RUN = "    async def run(self, job):\n        await job.start(0)\n        return 'Done'\n"
POINT = "word_count = acme_words:WordCount"
EXAMPLE = ROOT / "examples" / "own_pipeline.py"


def install(folder: Path, code: str, *points: str, package: str = "acme_words") -> None:
    """Put a distribution into a folder of `sys.path`, as pip would."""
    (folder / f"{package}.py").write_text(code, encoding="utf-8")
    info = folder / f"{package}-1.2.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.2\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(["[shelfwire.pipelines]", *points, ""]), encoding="utf-8")


def serve(folder: Path) -> "subprocess.Popen[str]":
    """Run a server that finds what is installed in the folder."""
    path = os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])
    command = [sys.executable, "-m", "shelfwire", "serve", "--port", "0", "--data", str(folder / "data")]
    return subprocess.Popen(  # noqa: S603 - our own command
        command, env={**os.environ, "PYTHONPATH": path}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def test_a_pipeline_that_is_installed_runs_jobs(tmp_path: Path) -> None:
    install(tmp_path, EXAMPLE.read_text(encoding="utf-8"), POINT)
    with serve(tmp_path) as process:
        try:
            assert process.stdout is not None
            found = re.match(r"Listening on (http://[\d.:]+),", process.stdout.readline())
            assert found is not None
            async with Client(found[1]) as client:
                job = await client.start("word_count", file=Upload("poem.txt", b"one two\n\nthree"))
                told = [message async for message in client.follow(job)]
                items = [item["ok"] async for item in client.results(job)]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
    assert (told[-1].type, told[-1].pipeline) == ("job_complete", "word_count")
    assert items == [True, False, True]


def test_a_broken_one_stops_the_server_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    install(tmp_path, "import a_library_that_nobody_has", POINT)
    process = serve(tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == (
        "shelfwire: The server cannot start. The entry point word_count = acme_words:WordCount of the package "
        "acme-words 1.2 cannot be loaded: ModuleNotFoundError: No module named 'a_library_that_nobody_has'. "
        "Install what it needs, or update or uninstall the package\n"
    )


@pytest.mark.parametrize(
    ("code", "point", "reason"),
    [
        (
            "raise SystemExit('no\\nlicence')",
            POINT,
            r"cannot be loaded: SystemExit: no licence\. Install what it needs",
        ),
        ("x = (", POINT, r"cannot be loaded: SyntaxError: .*\. Install"),
        ("", POINT, r"cannot be loaded: AttributeError: .*WordCount.*\. Install"),
        (
            "",
            "word_count = acme words!",
            r"= acme words! of .* cannot be read\. .*write: word_count = package\.module:",
        ),
        ("", "word_count = acme_words", r"names acme_words, which is no class\. .*write: word_count = "),
        (HEAD + RUN + "one = WordCount()", "w = acme_words:one", r"names WordCount, which is no class"),
        (
            HEAD + RUN + "    def __init__(self, key): ...",
            POINT,
            r"without arguments: .*'key'\. Give them defaults, or",
        ),
        (HEAD + RUN + "    def __init__(self): 1 / 0", POINT, r"cannot be made: ZeroDivisionError: .*\. Set up"),
        (BASE + RUN, POINT, r"has no name\. Give its class one, such as: name = \"word_count\""),
        (BASE + "    name = 'Word count'\n" + RUN, POINT, r"has the name 'Word count'\. Names are made of"),
        (BASE + "    name = 'a' * 65\n" + RUN, POINT, r"has the name 'a+'\. Names are made of up to 64"),
        (BASE + "    name = 'wörter'\n" + RUN, POINT, r"has the name 'wörter'"),
        (BASE + "    name = 'words\\n'\n" + RUN, POINT, r"has the name 'words\\n'"),
        (BASE + "    name = 7\n" + RUN, POINT, r"has the name 7"),
        (HEAD, POINT, r"has no coroutine that runs a job\. .*: async def run\(self, job\) -> str"),
        (HEAD + "    def run(self, job): ...", POINT, r"has no coroutine that runs a job"),
        (HEAD + "    async def run(self, job): yield", POINT, r"has no coroutine that runs a job"),
        (HEAD + "    async def run(self): ...", POINT, r"does not take a job alone \(too many .*\)\. Write: async def"),
        (HEAD + RUN + "    slots = 0", POINT, r"has the slots 0\. Write a number from 1, or leave it out"),
        (HEAD + RUN + "    slots = True", POINT, r"has the slots True\. Write a number from 1"),
        (HEAD + RUN + "    results_name = 'errors'", POINT, r"the results_name 'errors'\. Choose a text other than"),
        (HEAD + RUN + "    options = int", POINT, r"has the options int\. Name a msgspec\.Struct"),
        (HEAD + RUN + "    codes = {'E_MINE'}", POINT, r"has the codes {'E_MINE'}\. Name a class that inherits"),
        ("class WordCount:\n    name = 'word_count'\n" + RUN, POINT, r"does not inherit Pipeline\. Write: class Word"),
    ],
)
def test_a_broken_entry_point_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, point: str, reason: str
) -> None:
    install(tmp_path, textwrap.dedent(code), point)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_words", raising=False)
    with pytest.raises(PluginError, match=reason) as refused:
        compose([])
    assert str(refused.value).startswith(f"The entry point {point} of the package acme-words 1.2 ")
    assert "\n" not in str(refused.value)


def test_two_packages_with_pipelines_of_one_name_are_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, package in enumerate(("acme_words", "other_words")):
        folder = tmp_path / package
        folder.mkdir()
        install(folder, HEAD + RUN, f"w{number} = {package}:WordCount", package=package)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(PluginError, match=r"same name, 'word_count'\. Rename one") as refused:
        compose([])
    assert "acme-words 1.2" in str(refused.value)
    assert "other-words 1.2" in str(refused.value)


def test_what_is_handed_over_takes_the_place_of_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, HEAD + RUN, POINT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_words", raising=False)
    mine = WordCount()
    assert type(compose([])["word_count"]).__module__ == "acme_words"
    assert Shelfwire(Settings(data=tmp_path), pipelines=[mine])._pipelines["word_count"] is mine


class Unnamed(Pipeline):
    async def run(self, job: Job) -> str:
        await job.start(0)
        return "Done"


@pytest.mark.parametrize(
    ("pipelines", "reason"),
    [
        ([WordCount], r"WordCount in pipelines= is a class where an instance is needed\. Write WordCount\(\)"),
        (WordCount(), r"pipelines= is WordCount where a list of pipelines is needed\. Put it into \[ \]"),
        (["word_count"], r"The pipeline 'word_count' in pipelines= does not inherit Pipeline"),
        ([None], r"The pipeline None in pipelines= does not inherit Pipeline"),
        ([Unnamed()], r"The pipeline Unnamed in pipelines= has no name\. Give its class one"),
        ([WordCount(), WordCount()], r"two pipelines named 'word_count'\. Rename one"),
    ],
)
def test_what_is_handed_over_and_is_no_pipeline_is_refused_at_once(tmp_path: Path, pipelines: Any, reason: str) -> None:
    with pytest.raises(PluginError, match=reason):
        Shelfwire(Settings(data=tmp_path), pipelines=pipelines)
    assert list(tmp_path.iterdir()) == []


def test_a_name_at_the_bounds_of_what_is_legal_is_taken(tmp_path: Path) -> None:
    class Bounds(Pipeline):
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self, job: Job) -> str:
            await job.start(0)
            return "Done"

    names = ["a", "z9_", "x" * 64]
    app = Shelfwire(Settings(data=tmp_path), pipelines=[Bounds(name) for name in names])
    assert set(app._pipelines) >= {"csv_import", *names}


def test_the_example_takes_twenty_lines() -> None:
    source = EXAMPLE.read_text(encoding="utf-8")
    body = source[source.index("class WordCount") : source.index("async def main")].rstrip()
    assert len(body.splitlines()) <= 20
