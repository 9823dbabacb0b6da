"""What the plug-ins that are installed add to the command line."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from shelfwire.cli.errors import CommandError
from shelfwire.plugins import Labels, Plugin, PluginError, ResultTable, installed, loaded
from shelfwire.settings import Settings, SettingsError, load


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


def gather(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Gather the settings of a server, by the flags, then by the environment and its file.

    Raises:
        CommandError: one of them cannot be used.
    """
    sections = [plugin.settings for plugin in plugins() if plugin.settings is not None]
    try:
        return load(flags, environ, sections)
    except SettingsError as error:
        raise CommandError(f"Bad setting: {error}") from None


def labels_of(pipeline: str) -> Labels:
    """Return the words for jobs of a pipeline."""
    return next((plugin.labels[pipeline] for plugin in plugins() if pipeline in plugin.labels), Labels())


def table_of(pipeline: str, results: Any) -> ResultTable | None:
    """Return the results of a job as a table, if a plug-in shows those of its pipeline so."""
    target = next((plugin.tables[pipeline] for plugin in plugins() if pipeline in plugin.tables), None)
    return None if target is None else loaded(target)(results)
