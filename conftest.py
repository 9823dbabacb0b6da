"""Has pytest run what README.md and the pages in docs/ show; and the options of the tests."""

import secrets
from pathlib import Path
from typing import Any

import pytest

USUAL_SEED = 20260


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the tests."""
    group = parser.getgroup("shelfwire")
    group.addoption("--long", action="store_true", help="Break as much as takes an hour instead of a minute.")
    group.addoption("--examples", type=int, help="How often a property is tried: 100 times, or 2,000 with --long.")
    group.addoption("--seed", type=int, help="Decides what is broken when; always the same unless --long is given.")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed where none is given."""
    if config.option.seed is None:
        config.option.seed = secrets.randbelow(1_000_000) if config.option.long else USUAL_SEED


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed, so that a run can be repeated."""
    return f"seed: {config.option.seed}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Any:
    """Collect the blocks of a page."""
    if file_path.suffix != ".md":
        return None
    from tests.docs.pages import pages  # noqa: PLC0415 - what runs pages takes time to import

    return pages.pytest()(file_path, parent)
