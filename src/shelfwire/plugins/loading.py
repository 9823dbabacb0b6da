"""Finds the plug-ins and pipelines that are installed, and puts together what they declare."""

import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shelfwire.plugins.checks import check_pipeline, check_unique_codes, checked, described, misdeclared, quoted, shown
from shelfwire.plugins.declaration import Plugin, PluginError

if TYPE_CHECKING:  # what runs jobs takes time to import, and the command line reads only declarations
    from shelfwire.jobs.pipeline import Pipeline

PLUGINS: Final = "shelfwire.plugins"
PIPELINES: Final = "shelfwire.pipelines"


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
            misdeclared(source, "does not inherit shelfwire.plugins.Plugin. Write: class Mine(Plugin)")
        found.append(plugin)
    checked(found)
    return found


def sections_of(plugins: Iterable[Plugin]) -> list[type[msgspec.Struct]]:
    """Return the settings that plug-ins declare, for `shelfwire.settings.load` and `fields`."""
    return [plugin.settings for plugin in plugins if plugin.settings is not None]


def compose(plugins: Iterable[Plugin], given: "Iterable[Pipeline]" = ()) -> "dict[str, Pipeline]":
    """Make all pipelines, by name. One that is installed by itself takes the place of a plug-in's, a given one of any.

    Args:
        plugins: those that `checked` has passed.
        given: pipelines that somebody hands over.

    Raises:
        PluginError: one of them is misdeclared, or two of the same origin have one name.
    """
    composed: dict[str, Pipeline] = {}
    owners: dict[str, str] = {}
    for plugin in plugins:
        own = _by_name(parts_of(plugin, plugin.pipelines, "pipelines"), f"the plug-in {plugin.name!r}")
        for name in own:
            if name in owners:
                both = f"{owners[name]!r} and {plugin.name!r}"
                raise PluginError(f"The plug-ins {both} both have the pipeline {name!r}. Uninstall one of them")
            owners[name] = plugin.name
        composed |= own
    alone = [(_source(point), _made(point, _source(point), PIPELINES)) for point in entry_points(group=PIPELINES)]
    sources: dict[str, str] = {}
    for source, pipeline in alone:
        name = check_pipeline(pipeline, source).name
        if name in sources:
            misdeclared(
                f"{sources[name]} and {source[:1].lower()}{source[1:]}",
                f"have pipelines of the same name, {name!r}. Rename one, or uninstall its package",
            )
        composed[name], sources[name] = pipeline, source
    if not isinstance(given, Iterable):
        raise PluginError(f"pipelines= is {shown(given)} where a list of pipelines is needed. Put it into [ ]")
    composed |= _by_name(given, "pipelines=")
    check_unique_codes([plugin.codes for plugin in plugins] + [pipeline.codes for pipeline in composed.values()])
    return composed


def parts_of(plugin: Plugin, make: Callable[[], Iterable[Any]], what: str) -> list[Any]:
    """Return the pipelines or routes of a plug-in.

    Args:
        plugin: the plug-in.
        make: its method that makes them.
        what: what to call them.

    Raises:
        PluginError: it cannot make them.
    """
    try:
        return list(make())
    except Exception as error:
        need = "Set up what it needs, or update or uninstall it"
        if plugin.install and isinstance(error, ImportError):
            need = f"Install what it needs: {plugin.install}"
        raise PluginError(f"The plug-in {plugin.name!r} cannot make its {what}: {described(error)}. {need}") from error


def loaded(target: str) -> Any:
    """Return what a text such as `package.module:function` names.

    Raises:
        ImportError: the module is not there, or lacks a library.
    """
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _by_name(pipelines: Iterable[Any], source: str) -> "dict[str, Pipeline]":
    named: dict[str, Pipeline] = {}
    for pipeline in pipelines:
        name = check_pipeline(pipeline, f"The pipeline {shown(pipeline)} in {source}").name
        if name in named:
            raise PluginError(f"{source[:1].upper()}{source[1:]} has two pipelines named {name!r}. Rename one of them")
        named[name] = pipeline
    return named


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
            f"{source} cannot be loaded: {described(error)}. Install what it needs, or update or uninstall the package"
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
        raise PluginError(f"{source} cannot be made: {described(error)}. Uninstall the package") from error
    except Exception as error:
        raise PluginError(
            f"{source} cannot be made: {described(error)}. Set up what it needs, or uninstall the package"
        ) from error
