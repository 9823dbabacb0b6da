"""The kinds of jobs that come with shelfwire, and those that are installed beside it.

A package adds its own by an entry point of the group `shelfwire.plugins` that names a class.
"""

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from shelfwire.books.ai_scan.confirming import LocalBooks
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.books.ai_scan.readers import BestReader
from shelfwire.books.batch_enrichment.pipeline import BatchEnrichment
from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.books.services import Services
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.jobs.pipeline_checks import PipelineError, by_name, checked, quoted, shown

__all__ = ["GROUP", "PipelineError", "by_name", "installed"]

GROUP: Final = "shelfwire.plugins"


def installed(outside: Services | None = None) -> dict[str, Pipeline]:
    """Make one of each pipeline, by name; one of another package takes the place of our own.

    Args:
        outside: the services that our own reach, once they are there.

    Raises:
        PipelineError: an entry point is broken, or two have pipelines of one name.
    """
    others: dict[str, Pipeline] = {}
    sources: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        source = _source(point)
        pipeline = checked(_made(point, source), source)
        if pipeline.name in others:
            raise PipelineError(
                f"{sources[pipeline.name]} and {source[:1].lower()}{source[1:]} have pipelines of the same name, "
                f"{pipeline.name!r}. Rename one, or uninstall its package"
            )
        others[pipeline.name], sources[pipeline.name] = pipeline, source
    outside = outside or Services()
    own: tuple[Pipeline, ...] = (
        CsvImport(outside),
        AiScan(BestReader(outside), LocalBooks(outside), outside),
        BatchEnrichment(outside),
    )
    return {**{pipeline.name: pipeline for pipeline in own}, **others}


def _source(point: EntryPoint) -> str:
    package = f" of the package {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"The entry point {point.name} = {quoted(point.value)}{package}"


def _made(point: EntryPoint, source: str) -> Any:
    write = f"In the group {GROUP} write: {point.name} = package.module:Class"
    if not EntryPoint.pattern.match(point.value):
        raise PipelineError(f"{source} cannot be read. {write}")
    try:
        named = point.load()
    except (Exception, SystemExit) as error:
        raise PipelineError(
            f"{source} cannot be loaded: {_said(error)}. Install what it needs, or update or uninstall the package"
        ) from error
    if not inspect.isclass(named):
        raise PipelineError(f"{source} names {shown(named)}, which is no class. {write}")
    try:
        inspect.signature(named).bind()
    except TypeError as error:
        raise PipelineError(
            f"{source} cannot be made without arguments: {error}. Give them defaults, or leave the entry point out and "
            f"write Shelfwire(settings, pipelines=[{named.__name__}(…)])"
        ) from None
    try:
        return named()
    except Exception as error:
        raise PipelineError(
            f"{source} cannot be made: {_said(error)}. Set up what it needs, or uninstall the package"
        ) from error


def _said(error: BaseException) -> str:
    return quoted(f"{type(error).__name__}: {error}".removesuffix(": "))
