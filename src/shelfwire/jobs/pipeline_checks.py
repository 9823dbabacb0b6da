"""What a pipeline must be to run jobs, and what is said of one that is not."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

from shelfwire.jobs.pipeline import Pipeline

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
ERRORS: Final = "errors"
"""What the list of failed items is called in the inline results of every pipeline."""
MAX_QUOTE_CHARS: Final = 300


class PipelineError(ValueError):
    """Something that should be a pipeline cannot run jobs. The text names it and says what to do."""


def by_name(pipelines: Iterable[Pipeline]) -> dict[str, Pipeline]:
    """Put the pipelines that somebody hands over under their names.

    Raises:
        PipelineError: one of them is none, or two have one name.
    """
    if not isinstance(pipelines, Iterable):
        raise PipelineError(f"pipelines= is {shown(pipelines)} where a list of pipelines is needed. Put it into [ ]")
    named: dict[str, Pipeline] = {}
    for pipeline in pipelines:
        name = checked(pipeline, f"The pipeline {shown(pipeline)} in pipelines=").name
        if name in named:
            raise PipelineError(f"pipelines= has two pipelines named {name!r}. Rename one of them")
        named[name] = pipeline
    return named


def checked(pipeline: Any, source: str) -> Pipeline:
    """Return what can run jobs.

    Args:
        pipeline: what should.
        source: what to call it in errors, as the beginning of a sentence.

    Raises:
        PipelineError: it cannot.
    """
    for reason_against in (_kind, _name, _run, _results_name, _fold, _columns):
        reason = reason_against(pipeline)
        if reason is not None:
            raise PipelineError(f"{source} {reason}")
    able: Pipeline = pipeline
    return able


def shown(value: Any) -> str:
    """What to call something that somebody has written or handed over."""
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return str(value.__name__)
    return quoted(repr(value)) if type(value).__module__ == "builtins" else type(value).__name__


def quoted(text: str) -> str:
    """One line, and not too long, of a text that somebody else wrote."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTE_CHARS else f"{line[: MAX_QUOTE_CHARS - 1]}…"


def _kind(pipeline: Any) -> str | None:
    if inspect.isclass(pipeline):
        return f"is a class where an instance is needed. Write {pipeline.__name__}()"
    return None


def _name(pipeline: Any) -> str | None:
    name = getattr(pipeline, "name", None)
    if name is None:
        return 'has no name. Give its class one, such as: name = "word_count"'
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return (
            f"has the name {quoted(repr(name))}. Names are made of up to 64 of a-z, 0-9 and _ and begin with a letter, "
            'such as: name = "word_count"'
        )
    return None


def _run(pipeline: Any) -> str | None:
    run = getattr(pipeline, "run", None)
    if not callable(run) or not inspect.iscoroutinefunction(inspect.unwrap(run)):
        return "has no coroutine that runs a job. Give its class: async def run(self, job) -> str"
    try:
        inspect.signature(run).bind(None)
    except TypeError as error:
        return f"has a run that does not take a job alone ({error}). Write: async def run(self, job) -> str"
    return None


def _results_name(pipeline: Any) -> str | None:
    name = getattr(pipeline, "results_name", "items")
    if isinstance(name, str) and name not in {"", ERRORS}:
        return None
    return f"has the results_name {quoted(repr(name))}. Choose a text other than {ERRORS!r}, which failed items have"


def _fold(pipeline: Any) -> str | None:
    fold = getattr(pipeline, "fold", None)
    if fold is None or (callable(fold) and not inspect.iscoroutinefunction(inspect.unwrap(fold))):
        return None
    return "has a fold that is no plain function. Write: def fold(self, items) -> dict, and no async: it may not wait"


def _columns(pipeline: Any) -> str | None:
    columns = getattr(pipeline, "columns", ())
    if isinstance(columns, list | tuple) and all(isinstance(column, str) for column in columns):
        return None
    return f'has the columns {quoted(repr(columns))}. Write a tuple of texts, such as: columns = ("line", "words")'
