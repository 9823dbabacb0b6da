"""What the plug-ins that are installed add to the command line."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any

from shelfwire.cli.errors import CommandError
from shelfwire.plugins import (
    Command,
    CommandGroup,
    Labels,
    Plugin,
    PluginError,
    ResultTable,
    installed,
    loaded,
    sections_of,
)
from shelfwire.plugins.checks import described
from shelfwire.settings import Settings, SettingsError, load

Export = Callable[[AsyncIterator[dict[str, Any]]], AsyncIterator[bytes]]
"""Writes results in a format; see `Plugin.exports`."""


@cache
def plugins() -> list[Plugin]:
    """Return the plug-ins that are installed.

    Raises:
        CommandError: one of them is misdeclared.
    """
    try:
        return installed()
    except PluginError as error:
        raise CommandError(f"A plug-in cannot be used. {error}") from None


def check_verbs(own: Collection[str]) -> None:
    """Check that no plug-in has a command of the engine.

    Raises:
        CommandError: one has.
    """
    for plugin in plugins():
        for verb in plugin.commands:
            if verb in own:
                raise CommandError(
                    f"A plug-in cannot be used. The plug-in {plugin.name!r} has the command {verb!r}, and so has "
                    "shelfwire itself. Rename it, or uninstall the plug-in"
                )


def check_command(typed: Sequence[str]) -> None:
    """Check that the function is there that a plug-in names for a command.

    Args:
        typed: the verb and what follows it.

    Raises:
        CommandError: it is not, or its module is broken.
        ImportError: its module needs a library that is not installed.
    """
    for plugin in plugins():
        command: Command | CommandGroup | None = plugin.commands.get(typed[0]) if typed else None
        if isinstance(command, CommandGroup):
            command = command.commands.get(typed[1]) if len(typed) > 1 else None
        if command is None:
            continue
        try:
            loaded(command.target)
        except Exception as error:
            module = command.target.partition(":")[0]
            missing = error.name or "" if isinstance(error, ImportError) else ""
            if missing and not f"{module}.".startswith(f"{missing}."):
                raise
            raise CommandError(
                f"The plug-in {plugin.name!r} names {command.target} for this command, which cannot be loaded: "
                f"{described(error)}. Update or uninstall it"
            ) from None


def gather(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Gather the settings of a server, by the flags, then by the environment and its file.

    Raises:
        CommandError: one of them cannot be used.
    """
    try:
        return load(flags, environ, sections_of(plugins()))
    except SettingsError as error:
        raise CommandError(f"Bad setting: {error}") from None


def labels_of(pipeline: str) -> Labels:
    """Return the words for jobs of a pipeline."""
    return next((plugin.labels[pipeline] for plugin in plugins() if pipeline in plugin.labels), Labels())


def export_names() -> list[str]:
    """Return the formats of results that plug-ins have beside CSV and JSON."""
    return list(dict.fromkeys(name for plugin in plugins() for name in plugin.exports))


def export_of(pipeline: str, name: str) -> Export:
    """Return what writes the results of a pipeline's jobs in a format.

    Raises:
        CommandError: no plug-in does, or its function cannot be loaded.
        ImportError: it needs a library that is not installed.
    """
    plugin = next((plugin for plugin in plugins() if pipeline in plugin.labels and name in plugin.exports), None)
    if plugin is None:
        raise CommandError(f"The results of a job of {pipeline} cannot be had as {name}. Take csv or json")
    try:
        write: Export = loaded(plugin.exports[name])
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the code of others raises
        raise CommandError(
            f"The plug-in {plugin.name!r} cannot write {name}: {described(error)}. Take csv or json"
        ) from None
    return write


def table_of(pipeline: str, results: Any) -> ResultTable | None:
    """Return the results of a job as a table, if a plug-in shows those of its pipeline so.

    Raises:
        CommandError: the plug-in cannot show them.
    """
    plugin = next((plugin for plugin in plugins() if pipeline in plugin.tables), None)
    if plugin is None:
        return None
    try:
        table: ResultTable = loaded(plugin.tables[pipeline])(results)
    except Exception as error:  # noqa: BLE001 - whatever the code of others raises
        raise CommandError(
            f"The plug-in {plugin.name!r} cannot show the results: {described(error)}. See them with: "
            "shelfwire results last"
        ) from None
    return table
