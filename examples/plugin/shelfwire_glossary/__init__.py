"""A plug-in that checks the lines of a text against a glossary. It has every part that a plug-in can have.

Importing this loads declarations only: `shelfwire --help` reads them, and should not wait for a server.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from shelfwire import CodeEntry, ErrorCode
from shelfwire.plugins import Command, CommandGroup, Counter, Labels, Plugin, PluginContext, ServiceError

if TYPE_CHECKING:
    from shelfwire import Pipeline


class GlossaryCode(ErrorCode):
    """The error codes of the plug-in."""

    NO_GLOSSARY = (
        "E_NO_GLOSSARY",
        CodeEntry(
            501,
            retryable=False,
            message="The server has no glossary: set `glossary`",
            user_message="This service cannot check texts yet. Its operator has to set that up first.",
        ),
    )
    UNKNOWN_TERM = (
        "E_UNKNOWN_TERM",
        CodeEntry(
            422,
            retryable=False,
            message="The glossary does not have this term",
            user_message="This word is not in the glossary. Choose one that is.",
        ),
    )
    OLD_TERM = (
        "E_OLD_TERM",
        CodeEntry(
            422,
            retryable=False,
            message="The line has terms that the glossary replaces",
            user_message="This line has words that should not be used any more.",
        ),
    )


class GlossarySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section of settings: flags of `shelfwire serve`, environment variables, keys of the file."""

    glossary: Annotated[
        Path | None,
        msgspec.Meta(description="A file with a term to replace and its replacement on each line, between them a tab."),
    ] = None


class Glossary:
    """The service: the terms, which are there while the application runs."""

    def __init__(self) -> None:
        self.replacements: Mapping[str, str] = {}
        self._context: PluginContext | None = None

    def count_line(self, *, found: bool) -> None:
        """Count a line that was checked."""
        if self._context is not None:
            self._context.count("glossary_lines", found="yes" if found else "no")

    @asynccontextmanager
    async def open(self, context: PluginContext) -> AsyncIterator[None]:
        """Read the terms, and keep them until the context ends.

        Raises:
            ServiceError: the file cannot be read.
        """
        path = context.settings.section(GlossarySettings).glossary
        if path is not None:
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ServiceError(f"The glossary {path} cannot be read: {error}. Name another file") from None
            pairs = [line.split("\t") for line in lines if line.count("\t") == 1]
            self.replacements = {term.lower(): replacement for term, replacement in pairs}
        self._context = context
        try:
            yield
        finally:
            self.replacements, self._context = {}, None


class GlossaryPlugin(Plugin):
    """The declarations."""

    name = "glossary"
    settings = GlossarySettings
    codes = GlossaryCode
    counters = (Counter("glossary_lines", "Lines checked, by whether a term was found.", ("found",)),)
    commands: ClassVar[Mapping[str, Command | CommandGroup]] = {
        "check": Command("shelfwire_glossary.command:check", "Check a text against the server's glossary."),
    }
    labels: ClassVar[Mapping[str, Labels]] = {
        "glossary_check": Labels("Checking", "check", "line", "checked", "Check the file again"),
    }
    tables: ClassVar[Mapping[str, str]] = {"glossary_check": "shelfwire_glossary.command:table"}

    def __init__(self) -> None:
        self._glossary = Glossary()

    def pipelines(self) -> "Iterable[Pipeline]":
        """Make the pipeline."""
        from shelfwire_glossary.pipeline import GlossaryCheck  # noqa: PLC0415 - only a server needs it

        return [GlossaryCheck(self._glossary)]

    def routes(self) -> Iterable[Any]:
        """Make the routes."""
        from shelfwire_glossary.routes import routes  # noqa: PLC0415 - likewise

        return routes(self._glossary)

    @asynccontextmanager
    async def running(self, context: PluginContext) -> AsyncIterator[None]:
        """Have the glossary there while the application runs.

        Raises:
            ServiceError: see `Glossary.open`.
        """
        async with self._glossary.open(context):
            yield
