"""Answers that services really gave, where a copy is there: the tests over them are skipped without one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


def folder(service: str) -> Path:
    """The folder of a service's answers.

    They are beside the repository, or in the folder that SHELFWIRE_TEST_DATA names.
    """
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    answers = Path(os.environ.get("SHELFWIRE_TEST_DATA") or beside) / "answers" / service
    if not answers.is_dir():
        pytest.skip("no real answers: set SHELFWIRE_TEST_DATA to the folder that has answers/")
    return answers


def read(service: str, name: str) -> Any:
    """One answer, as JSON."""
    return json.loads((folder(service) / name).read_bytes())


def dumped(name: str) -> list[dict[str, Any]]:
    """The records of a part of Open Library's dumps."""
    lines = (folder("open_library_dump") / name).read_text().splitlines()
    return [json.loads(line.split("\t")[-1]) for line in lines]
