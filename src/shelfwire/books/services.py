"""What pipelines reach beyond this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx2

from shelfwire import __version__
from shelfwire.books.batch_enrichment.factory import open_lookups
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.gemini.adapter import Gemini
from shelfwire.books.gemini.responses import Usage
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.errors import Reason
from shelfwire.books.upstream.shared_lane import Lanes
from shelfwire.plugins import PluginContext

GEMINI: Final = "gemini"
"""Its name in the metric of failures."""


@dataclass
class Services:
    """The outside services, each there only while the application runs, and only if it is set up.

    Attributes:
        gemini: reads photos and lists of unknown layout.
        gemini_required: whether items fail that Gemini does not answer for, instead of being read without it.
        lookups: looks books up with the providers of book data.
        catalogue: the local catalogue, if one is set.
    """

    gemini: Gemini | None = None
    gemini_required: bool = False
    lookups: Lookups | None = None
    catalogue: Catalogue | None = None

    @asynccontextmanager
    async def open(self, context: PluginContext) -> AsyncIterator[None]:
        """Reach the services until the context ends.

        Args:
            context: the settings say which there are, and the limits of each; requests to Gemini are counted.

        Raises:
            OSError: the catalogue that is set cannot be used.
        """
        settings = context.settings.section(BookSettings)
        self.gemini_required = settings.gemini_required
        headers = {"user-agent": f"shelfwire/{__version__}"}
        # The limits of each service bound its connections; few of them are kept while they are not needed.
        pool = httpx2.Limits(max_connections=None, max_keepalive_connections=20)

        def failed(service: str, reason: Reason) -> None:
            context.count("service_failures", service=service, reason=reason)

        lanes = Lanes(context.nodes, context.clock.steady)
        with ExitStack() as stack:
            catalogue = None if settings.catalogue is None else stack.enter_context(Catalogue(settings.catalogue))
            async with (
                httpx2.AsyncClient(headers=headers, limits=pool) as client,
                open_lookups(settings, context.settings.data, client, catalogue, report=failed, lanes=lanes) as lookups,
            ):
                self.lookups, self.catalogue = lookups, catalogue
                if settings.gemini_api_key is not None:
                    self.gemini = Gemini(
                        client,
                        settings,
                        settings.gemini_api_key,
                        report=_gemini_report(context),
                        failed=partial(failed, GEMINI),
                        lanes=lanes,
                    )
                try:
                    yield
                finally:
                    self.gemini = self.lookups = self.catalogue = None


def _gemini_report(context: PluginContext) -> Callable[[str, Usage], None]:
    def count(outcome: str, usage: Usage) -> None:
        context.count("gemini_requests", outcome=outcome)
        for direction, tokens in (("in", usage.input), ("out", usage.output)):
            if tokens:
                context.count("gemini_tokens", tokens, direction=direction)

    return count
