"""The kinds of jobs that come with shelfwire, and those that are installed beside it.

A package adds its own by an entry point of the group `shelfwire.pipelines` that names a class.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.context import Pipeline
from shelfwire.pipelines.csv_import.pipeline import CsvImport

GROUP: Final = "shelfwire.pipelines"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a pipeline may be called: its name is a segment of a URL, and a label of metrics."""


class PipelineError(ShelfwireError):
    """A pipeline cannot be used. The text names it, or the entry point it came by."""

    def __init__(self, reason: str) -> None:
        super().__init__(Code.INTERNAL, reason, user_message=reason)


def gather(given: Iterable[Pipeline] = ()) -> dict[str, Pipeline]:
    """Return every pipeline there is by its name.

    Args:
        given: these take the place of others with their names, as installed ones do of those that come with shelfwire.

    Raises:
        PipelineError: one of them is no pipeline, has no name or a bad one, or cannot be imported or made; or two of
            the installed ones, or of the given ones, have one name.
    """
    own = CsvImport()
    return {
        own.name: own,
        **_by_name(_installed()),
        **_by_name((f"The pipeline {pipeline!r}", pipeline) for pipeline in given),
    }


def _installed() -> Iterator[tuple[str, Pipeline]]:
    for point in entry_points(group=GROUP):
        source = _described(point)
        try:
            pipeline = point.load()()
        except Exception as error:
            raise PipelineError(
                f"{source} cannot be loaded: {type(error).__name__}: {error}. Repair or uninstall the package"
            ) from error
        yield source, pipeline


def _described(point: EntryPoint) -> str:
    package = "" if point.dist is None else f", package {point.dist.name} {point.dist.version}"
    return f"The entry point '{point.name} = {point.value}' (group {GROUP}{package})"


def _by_name(pipelines: Iterable[tuple[str, Pipeline]]) -> dict[str, Pipeline]:
    known: dict[str, tuple[str, Pipeline]] = {}
    for source, pipeline in pipelines:
        name = _checked(source, pipeline)
        if name in known:
            raise PipelineError(f"{source} has the name '{name}', as has another: {known[name][0]}. Rename one of them")
        known[name] = source, pipeline
    return {name: pipeline for name, (_, pipeline) in known.items()}


def _checked(source: str, pipeline: Any) -> str:
    name = getattr(pipeline, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        shown = "no name" if name is None else f"the name {name!r}"
        raise PipelineError(
            f"{source} has {shown}. A pipeline's attribute 'name' is up to 64 letters, digits and '_.-', "
            "and begins with a letter or digit"
        )
    if inspect.isclass(pipeline) or not inspect.iscoroutinefunction(getattr(pipeline, "run", None)):
        raise PipelineError(f"{source} must be an object with a method 'async def run(self, job) -> str'")
    return name
