"""The sample files, which are not part of the project: a folder beside the checkout, or wherever a variable says."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SHELFWIRE_TEST_DATA") or beside)
    if not (folder / "csv" / "manifest.json").is_file():
        pytest.skip("no sample files: set SHELFWIRE_TEST_DATA to the folder that has csv/manifest.json")
    return folder
