"""`shelfwire work` says what is wrong with the pipelines it is given, and with the server."""

import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Here

MODULE = """
from shelfwire import Pipeline

class Languages(Pipeline):
    name = "languages"

    async def run(self, job):
        return "done"

class Needy(Languages):
    def __init__(self, dictionary):
        self.dictionary = dictionary

class Inside(Languages):
    name = "csv_import"

word = "no pipeline"
"""


@pytest.fixture(autouse=True)
def module_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is in the working directory, and no other test knows it."""
    (tmp_path / "languages.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "languages", raising=False)


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ("languages", "a module and a class, such as languages:Languages"),
        ("elsewhere:Languages", "cannot be loaded: ModuleNotFoundError: No module named 'elsewhere'"),
        ("languages:Lingo", "The module languages has no Lingo"),
        ("languages:Needy", "languages:Needy cannot be loaded: TypeError"),
        ("languages:word", "languages:word is no pipeline"),
        ("languages:Languages,languages:Languages", "each once"),
    ],
)
def test_what_is_no_pipeline_is_refused_by_its_name(here: Here, pipeline: str, says: str) -> None:
    code, _, told = here("work", "--pipelines", pipeline)
    assert (code, says in told) == (2, True), told


def test_a_url_that_can_be_no_servers_is_refused(here: Here) -> None:
    code, _, told = here("work", "--pipelines", "languages:Languages", "--server", "ftp://127.0.0.1")
    assert (code, "is not a server's address" in told) == (2, True), told


def test_a_server_that_gives_no_jobs_ends_the_command_with_its_reason(here: Here, server: dict[str, Any]) -> None:
    code, _, told = here("work", "--pipelines", "languages:Inside", "--server", server["url"])
    assert code == 4
    assert "gives no jobs of csv_import: The server runs the pipeline csv_import itself" in told
