"""The settings of a server, gathered for a command."""

from collections.abc import Mapping

from shelfwire.cli.errors import CommandError
from shelfwire.settings import Settings, SettingsError, load


def gather(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Gather the settings of a server, by the flags, then by the environment and its file.

    Raises:
        CommandError: one of them cannot be used.
    """
    try:
        return load(flags, environ)
    except SettingsError as error:
        raise CommandError(f"Bad setting: {error}") from None
