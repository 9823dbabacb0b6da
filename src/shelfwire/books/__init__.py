"""The books: three pipelines and what is around them, as a plug-in that uses nothing but the public ways to be one."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from shelfwire.books.codes import BookCode
from shelfwire.books.settings import BookSettings
from shelfwire.plugins import Command, CommandGroup, Counter, Labels, Plugin, PluginContext

if TYPE_CHECKING:
    from shelfwire.books.services import Services
    from shelfwire.jobs.pipeline import Pipeline


class Books(Plugin):
    """Imports of book lists, scans of bookshelves, lookups of books."""

    name = "books"
    install = "pip install 'shelfwire[books]'"
    settings = BookSettings
    codes = BookCode
    labels: ClassVar[Mapping[str, Labels]] = {
        "csv_import": Labels("Importing", "import", "row", "imported", "Import the file again", original=True),
        "ai_scan": Labels("Scanning", "scan", "photo", "read", "Scan it again"),
        "batch_enrichment": Labels("Looking up", "lookup", "book", "found", "Look the list up again"),
    }
    tables: ClassVar[Mapping[str, str]] = {"ai_scan": "shelfwire.books.cli.found:table"}
    exports: ClassVar[Mapping[str, str]] = {
        "goodreads": "shelfwire.books.exports.sites:goodreads",
        "storygraph": "shelfwire.books.exports.sites:storygraph",
        "bookwyrm": "shelfwire.books.exports.sites:bookwyrm",
        "html": "shelfwire.books.exports.page:page",
    }
    commands: ClassVar[Mapping[str, Command | CommandGroup]] = {
        "import": Command(
            "shelfwire.books.cli.commands:import_file",
            """Import a book list from a file, and show how it goes.

Without --server it uses the server that holds the data folder; if there is none, it does all the work by itself.""",
        ),
        "scan": Command(
            "shelfwire.books.cli.commands:scan",
            """Find the books on photos of bookshelves, and show how it goes.

Without --server it uses the server that holds the data folder; if there is none, it does all the work by itself. That
needs the reader for photos: pip install 'shelfwire[scan]'""",
        ),
        "enrich": Command(
            "shelfwire.books.cli.commands:enrich",
            """Look up the books of a list, and show how it goes.

They are looked up in the local catalogue, with Open Library and with Google Books, as far as the settings say. Without
--server it uses the server that holds the data folder; if there is none, it does all the work by itself.""",
        ),
        "catalogue": CommandGroup(
            "Build a local catalogue of books, and look into it.",
            {
                "build": Command(
                    "shelfwire.books.cli.catalogue:build_catalogue",
                    "Build a catalogue from dumps of Open Library, or from book lists.",
                ),
                "search": Command("shelfwire.books.cli.catalogue:search", "Look for a book by ISBN, title or author."),
            },
        ),
    }
    counters = (
        Counter(
            "gemini_requests",
            "Requests to Gemini, retries within them left out, by how they ended: ok, canceled or an error code.",
            ("outcome",),
        ),
        Counter("gemini_tokens", "Tokens that Gemini says it has used, by direction: in or out.", ("direction",)),
        Counter(
            "service_failures",
            "Requests to outside services that failed, retries included, by service and reason.",
            ("service", "reason"),
        ),
    )

    def __init__(self) -> None:
        self._services: Services | None = None

    def pipelines(self) -> "Iterable[Pipeline]":
        """Make the three pipelines; where a library is missing, they say so."""
        try:
            from shelfwire.books.composition import make_pipelines  # noqa: PLC0415 - only a server needs them
        except ImportError as error:
            from shelfwire.jobs.pipeline import UnavailablePipeline  # noqa: PLC0415 - likewise

            reason = f"the library {error.name} is not installed. Install it on the server: {self.install}"
            return [UnavailablePipeline(name, reason) for name in self.labels]
        self._services, pipelines = make_pipelines()
        return pipelines

    def routes(self) -> Iterable[Any]:
        """Return the routes that deployed clients make jobs by."""
        from shelfwire.books.web import ROUTES  # noqa: PLC0415 - likewise

        return ROUTES

    def running(self, context: PluginContext) -> AbstractAsyncContextManager[None]:
        """Open the services that the settings name.

        Raises:
            ServiceError: the catalogue that is set cannot be used.
        """
        return nullcontext() if self._services is None else self._services.open(context)
