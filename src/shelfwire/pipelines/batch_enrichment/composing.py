"""Puts the pipeline together as the settings say: the providers, their limits, and the cache they share."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx2
from hishel import AsyncBaseStorage

import shelfwire
from shelfwire.clock import Clock
from shelfwire.pipelines.batch_enrichment import google_books, local, open_library
from shelfwire.pipelines.batch_enrichment.answers import Answers, open_cache, wrong_json
from shelfwire.pipelines.batch_enrichment.google_books import GoogleBooks
from shelfwire.pipelines.batch_enrichment.local import Local, LocalCatalogue
from shelfwire.pipelines.batch_enrichment.lookups import Lookups
from shelfwire.pipelines.batch_enrichment.open_library import OpenLibrary
from shelfwire.pipelines.batch_enrichment.pipeline import BatchEnrichment
from shelfwire.pipelines.batch_enrichment.port import Provider
from shelfwire.pipelines.outgoing import Lane, Limits
from shelfwire.settings import Settings

CACHE: Final = ("cache", "answers-1.db")
"""Where the answers are, in the data folder; the number is raised when they take another form."""
OPEN_LIBRARY_RATE: Final = 1.0
OPEN_LIBRARY_RATE_WITH_CONTACT: Final = 3.0
GOOGLE_BOOKS_RATE: Final = 2.0
BURST_SECONDS: Final = 0.1
"""Requests begin evenly, except for what fits into so short a time."""
HEADROOM: Final = 1.03
"""What leaves at the limit would arrive above it, as no network takes the same time for every request."""
SECONDS_UNDER_WAY: Final = 3.0
"""An answer that takes so long does not keep the rate from being used."""


def enrichment(settings: Settings, clock: Clock, catalogue: LocalCatalogue | None = None) -> BatchEnrichment:
    """Make the pipeline.

    Args:
        settings: the providers, where they are and how often they may be asked.
        clock: the time.
        catalogue: the local catalogue, if there is one.
    """

    @asynccontextmanager
    async def lookups() -> AsyncIterator[Lookups]:
        async with AsyncExitStack() as stack:
            cache = open_cache(settings.data.joinpath(*CACHE))
            stack.push_async_callback(cache.close)
            yield Lookups(await _providers(settings, clock, catalogue, cache, stack))

    return BatchEnrichment(lookups)


def limits_for(rate: float) -> Limits:
    """The limits of a service that stands so many requests a second."""
    burst = max(1, math.floor(rate * BURST_SECONDS))
    return Limits(
        rate=burst,
        period=burst / rate * HEADROOM,
        at_once=max(2, math.ceil(rate * SECONDS_UNDER_WAY)),
        attempts=4,
        timeout=12.0,
        least_timeout=2.0,
    )


async def _providers(
    settings: Settings,
    clock: Clock,
    catalogue: LocalCatalogue | None,
    cache: AsyncBaseStorage,
    stack: AsyncExitStack,
) -> Sequence[Provider]:
    async def lane(name: str, rate: float, wrong: Callable[[httpx2.Response], str | None]) -> Lane:
        limits = limits_for(rate)
        pool = httpx2.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once)
        client = await stack.enter_async_context(httpx2.AsyncClient(limits=pool))
        return Lane(client, name=name, limits=limits, clock=clock, wrong=wrong)

    providers: list[Provider] = []
    for name in settings.providers:
        if name == open_library.NAME:
            rate = settings.open_library_rate or (
                OPEN_LIBRARY_RATE_WITH_CONTACT if settings.contact else OPEN_LIBRARY_RATE
            )
            answers = Answers(
                settings.open_library_url,
                await lane(name, rate, wrong_json),
                cache,
                headers=headers(settings.contact),
                is_known=open_library.is_known,
                clock=clock,
            )
            providers.append(OpenLibrary(answers, clock))
        elif name == google_books.NAME:
            key = settings.google_books_api_key
            answers = Answers(
                settings.google_books_url,
                await lane(name, settings.google_books_rate or GOOGLE_BOOKS_RATE, google_books.wrong),
                cache,
                headers=headers(settings.contact) | ({google_books.KEY_HEADER: key.reveal()} if key else {}),
                is_known=google_books.is_known,
                clock=clock,
            )
            providers.append(GoogleBooks(answers))
        elif name == local.NAME and catalogue is not None:
            providers.append(Local(catalogue))
    return providers


def headers(contact: str | None) -> dict[str, str]:
    """Who asks, so that a service can write to somebody before it shuts them out."""
    agent = f"shelfwire/{shelfwire.__version__}"
    return {"Accept": "application/json", "User-Agent": f"{agent} ({contact})" if contact else agent}
