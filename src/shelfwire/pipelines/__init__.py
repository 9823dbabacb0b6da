"""The kinds of jobs that come with shelfwire, and those that are installed beside it.

A package adds its own by an entry point of the group `shelfwire.pipelines` that names a class.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Final

from shelfwire.jobs.context import Pipeline
from shelfwire.pipelines.csv_import.pipeline import CsvImport

GROUP: Final = "shelfwire.pipelines"


def installed() -> Iterator[Pipeline]:
    """Make one of each pipeline; what an entry point names must be callable without arguments."""
    yield CsvImport()
    for point in entry_points(group=GROUP):
        yield point.load()()
