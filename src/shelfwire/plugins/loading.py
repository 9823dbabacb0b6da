"""Finds the plug-ins and pipelines that are installed, checks what they declare, and puts it together."""

import inspect
import re
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from shelfwire.errors import Code, ErrorCode
from shelfwire.plugins.declaration import Plugin, PluginError
from shelfwire.settings import SettingsError, check_sections

if TYPE_CHECKING:  # what runs jobs takes time to import, and the command line reads only declarations
    from shelfwire.jobs.pipeline import Pipeline

PLUGINS: Final = "shelfwire.plugins"
PIPELINES: Final = "shelfwire.pipelines"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
CODE: Final = re.compile(r"E_[A-Z0-9_]{1,62}")
ERRORS: Final = "errors"
"""What the list of failed items is called in the inline results of every pipeline."""
MAX_QUOTE_CHARS: Final = 300


def installed() -> list[Plugin]:
    """Make one of each plug-in that is installed, without its pipelines and routes.

    Raises:
        PluginError: one cannot be loaded, or is misdeclared.
    """
    found = []
    # One that is found twice, such as in a checkout beside an installation, is one.
    for point in {point.value: point for point in entry_points(group=PLUGINS)}.values():
        source = _source(point)
        plugin = _made(point, source, PLUGINS)
        if not isinstance(plugin, Plugin):
            _misdeclared(source, "does not inherit shelfwire.plugins.Plugin. Write: class Mine(Plugin)")
        found.append(plugin)
    checked(found)
    return found


def checked(plugins: Iterable[Plugin]) -> None:
    """Check what plug-ins declare, by themselves and beside each other.

    Raises:
        PluginError: something is misdeclared, or two declare the same.
    """
    verbs: dict[str, str] = {}
    counters: dict[str, str] = {}
    for plugin in plugins:
        source = f"The plug-in {shown(plugin)}"
        if not isinstance(getattr(plugin, "name", None), str):
            _misdeclared(source, 'has no name. Give its class one, such as: name = "acme"')
        source = f"The plug-in {plugin.name!r}"
        _check_codes(source, plugin.codes)
        for verb in plugin.commands:
            _claim(verbs, verb, plugin.name, f"the command {verb!r}")
        for counter in plugin.counters:
            if not NAME.fullmatch(counter.name):
                _misdeclared(source, f"has the counter {quoted(repr(counter.name))}. Names are made of a-z, 0-9 and _")
            _claim(counters, counter.name, plugin.name, f"the counter {counter.name!r}")
    try:
        check_sections([plugin.settings for plugin in plugins if plugin.settings is not None])
    except SettingsError as error:
        raise PluginError(str(error)) from None


def compose(plugins: Iterable[Plugin], given: "Iterable[Pipeline]" = ()) -> "dict[str, Pipeline]":
    """Make all pipelines, by name. One that is installed by itself takes the place of a plug-in's, a given one of any.

    Args:
        plugins: those that `checked` has passed.
        given: pipelines that somebody hands over.

    Raises:
        PluginError: one of them is misdeclared, or two of the same origin have one name.
    """
    composed: dict[str, Pipeline] = {}
    for plugin in plugins:
        composed |= _by_name(plugin.pipelines(), f"The plug-in {plugin.name!r}")
    alone = [(_source(point), _made(point, _source(point), PIPELINES)) for point in entry_points(group=PIPELINES)]
    sources: dict[str, str] = {}
    for source, pipeline in alone:
        name = check_pipeline(pipeline, source).name
        if name in sources:
            _misdeclared(
                f"{sources[name]} and {source[:1].lower()}{source[1:]}",
                f"have pipelines of the same name, {name!r}. Rename one, or uninstall its package",
            )
        composed[name], sources[name] = pipeline, source
    if not isinstance(given, Iterable):
        raise PluginError(f"pipelines= is {shown(given)} where a list of pipelines is needed. Put it into [ ]")
    composed |= _by_name(given, "pipelines=")
    _check_unique_codes([plugin.codes for plugin in plugins] + [pipeline.codes for pipeline in composed.values()])
    return composed


def loaded(target: str) -> Any:
    """Return what a text such as `package.module:function` names.

    Raises:
        ImportError: the module is not there, or lacks a library.
    """
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def check_pipeline(pipeline: Any, source: str) -> "Pipeline":
    """Return a pipeline that can run jobs.

    Args:
        pipeline: what should.
        source: what to call it in errors, as the beginning of a sentence.

    Raises:
        PluginError: it cannot.
    """
    for reason_against in (_kind, _name, _run, _results_name, _options, _fold):
        reason = reason_against(pipeline)
        if reason is not None:
            _misdeclared(source, reason)
    able: Pipeline = pipeline
    _check_codes(source, able.codes)
    return able


def shown(value: Any) -> str:
    """Return what to call something that somebody has written or handed over."""
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return str(value.__name__)
    return quoted(repr(value)) if type(value).__module__ == "builtins" else type(value).__name__


def quoted(text: str) -> str:
    """Return a text that somebody else wrote as one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTE_CHARS else f"{line[: MAX_QUOTE_CHARS - 1]}…"


def _misdeclared(source: str, reason: str) -> NoReturn:
    raise PluginError(f"{source} {reason}")


def _claim(taken: dict[str, str], key: str, name: str, what: str) -> None:
    if key in taken:
        raise PluginError(f"The plug-ins {taken[key]!r} and {name!r} both have {what}. Uninstall one of them")
    taken[key] = name


def _by_name(pipelines: Iterable[Any], source: str) -> "dict[str, Pipeline]":
    named: dict[str, Pipeline] = {}
    for pipeline in pipelines:
        name = check_pipeline(pipeline, f"The pipeline {shown(pipeline)} in {source}").name
        if name in named:
            raise PluginError(f"{source} has two pipelines named {name!r}. Rename one of them")
        named[name] = pipeline
    return named


def _check_codes(source: str, codes: Any) -> None:
    if codes is None:
        return
    if not (inspect.isclass(codes) and issubclass(codes, ErrorCode)):
        _misdeclared(source, f"has the codes {shown(codes)}. Name a class that inherits shelfwire.errors.ErrorCode")
    for code in codes:
        if not CODE.fullmatch(code):
            _misdeclared(
                source, f"has the error code {quoted(repr(code.value))}. Codes are E_ and up to 62 of A-Z, 0-9, _"
            )


def _check_unique_codes(parts: Iterable[type[ErrorCode] | None]) -> None:
    owners: dict[str, ErrorCode] = {}
    for code in (code for part in (Code, *parts) if part is not None for code in part):
        first = owners.setdefault(code.value, code)
        if first.entry != code.entry:
            names = " and ".join(f"{type(one).__module__}.{type(one).__name__}" for one in (first, code))
            raise PluginError(f"The error code {code} is declared differently by {names}. Rename one of them")


def _source(point: EntryPoint) -> str:
    package = f" of the package {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"The entry point {point.name} = {quoted(point.value)}{package}"


def _made(point: EntryPoint, source: str, group: str) -> Any:
    write = f"In the group {group} write: {point.name} = package.module:Class"
    if not EntryPoint.pattern.match(point.value):
        raise PluginError(f"{source} cannot be read. {write}")
    try:
        named = point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{source} cannot be loaded: {_described(error)}. Install what it needs, or update or uninstall the package"
        ) from error
    if not inspect.isclass(named):
        raise PluginError(f"{source} names {shown(named)}, which is no class. {write}")
    try:
        inspect.signature(named).bind()
    except TypeError as error:
        raise PluginError(
            f"{source} cannot be made without arguments: {error}. Give them defaults, or leave the entry point out and "
            f"write Shelfwire(settings, {group.rpartition('.')[2]}=[{named.__name__}(…)])"
        ) from None
    try:
        return named()
    except TypeError as error:
        if inspect.isabstract(named):
            return named  # its check says what is missing
        raise PluginError(f"{source} cannot be made: {_described(error)}. Uninstall the package") from error
    except Exception as error:
        raise PluginError(
            f"{source} cannot be made: {_described(error)}. Set up what it needs, or uninstall the package"
        ) from error


def _described(error: BaseException) -> str:
    return quoted(f"{type(error).__name__}: {error}".removesuffix(": "))


def _kind(pipeline: Any) -> str | None:
    from shelfwire.jobs.pipeline import Pipeline  # noqa: PLC0415 - see above

    if inspect.isclass(pipeline) and issubclass(pipeline, Pipeline):
        if inspect.isabstract(pipeline):
            return "has no coroutine that runs a job. Give its class: async def run(self, job) -> str"
        return f"is a class where an instance is needed. Write {pipeline.__name__}()"
    if not isinstance(pipeline, Pipeline):
        kind = shown(pipeline) if inspect.isclass(pipeline) else type(pipeline).__name__
        return f"does not inherit Pipeline. Write: class {kind}(shelfwire.Pipeline)"
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
    if not inspect.iscoroutinefunction(inspect.unwrap(pipeline.run)):
        return "has no coroutine that runs a job. Give its class: async def run(self, job) -> str"
    try:
        inspect.signature(pipeline.run).bind(None)
    except TypeError as error:
        return f"has a run that does not take a job alone ({error}). Write: async def run(self, job) -> str"
    return None


def _results_name(pipeline: Any) -> str | None:
    name = pipeline.results_name
    if isinstance(name, str) and name not in {"", ERRORS}:
        return None
    return f"has the results_name {quoted(repr(name))}. Choose a text other than {ERRORS!r}, which failed items have"


def _options(pipeline: Any) -> str | None:
    kind = pipeline.options
    if not (inspect.isclass(kind) and issubclass(kind, msgspec.Struct)):
        return f"has the options {shown(kind)}. Name a msgspec.Struct whose fields all have defaults"
    needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
    if needed:
        return f"has options without defaults: {', '.join(needed)}. Give them some: they may be left out of a request"
    return None


def _fold(pipeline: Any) -> str | None:
    if not inspect.iscoroutinefunction(inspect.unwrap(pipeline.fold)):
        return None
    return "has a fold that is no plain function. Write: def fold(self, items) -> dict, and no async: it may not wait"
