"""Creates the providers that the settings name, with their limits and the cache that they share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import httpx2

import shelfwire
from shelfwire.books.batch_enrichment import google_books, local, open_library
from shelfwire.books.batch_enrichment.answer_cache import AnswerCache
from shelfwire.books.batch_enrichment.cached_service import GRACE_SECONDS, CachedService
from shelfwire.books.batch_enrichment.google_books import GoogleBooks
from shelfwire.books.batch_enrichment.local import Local, LocalCatalogue
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.batch_enrichment.open_library import OpenLibrary
from shelfwire.books.batch_enrichment.port import Provider
from shelfwire.books.batch_enrichment.provider_limits import GOOGLE_BOOKS_RATE, limits_for, open_library_rate
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import Reason
from shelfwire.books.upstream.limits import Limits
from shelfwire.books.upstream.shared_lane import Lanes
from shelfwire.clock import Clock, SystemClock

CACHE_FILE: Final = ("cache", "answers-2.db")
"""The cache in the data folder; the number is raised when the form of its content changes."""


@asynccontextmanager
async def open_lookups(  # noqa: PLR0913 - what tests replace has defaults
    settings: BookSettings,
    folder: Path,
    client: httpx2.AsyncClient,
    catalogue: LocalCatalogue | None = None,
    clock: Clock | None = None,
    limits: Callable[[float], Limits] = limits_for,
    grace: float = GRACE_SECONDS,
    report: Callable[[str, Reason], None] = lambda _, __: None,
    *,
    lanes: Lanes | None = None,
) -> AsyncIterator[Lookups]:
    """Create the lookups, with a cache of answers that stays open until the context ends.

    Args:
        settings: the providers, their URLs and rates.
        folder: the data folder, for the cache.
        client: sends the requests; the limits of each service bound the connections to it.
        catalogue: the local catalogue, if there is one.
        clock: the time.
        limits: the limits of a service by its rate, in requests a second.
        grace: see `cached_service.GRACE_SECONDS`.
        report: receives the provider and the reason of each request that fails.
        lanes: makes the lanes that providers' clients share with other nodes; None where they are alone.
    """
    clock = clock or SystemClock()
    async with AnswerCache(folder.joinpath(*CACHE_FILE), clock) as cache:

        def cached(name: str, url: str, rate: float, service: ModuleType, **secret: str) -> CachedService:
            own = limits(rate)
            upstream = UpstreamClient(
                client,
                name=name,
                limits=own,
                clock=clock,
                traits=service.traits,
                report=partial(report, name),
                lane=None if lanes is None else lanes.of(name, own, url, *secret.values()),
            )
            headers = _headers(settings.contact) | secret
            known = service.is_known
            return CachedService(url, upstream, cache, headers=headers, is_known=known, clock=clock, grace=grace)

        providers: list[Provider] = []
        for name in settings.providers:
            match name:
                case local.NAME if catalogue is not None:
                    providers.append(Local(catalogue))
                case open_library.NAME:
                    rate = settings.open_library_rate or open_library_rate(settings.contact)
                    service = cached(name, settings.open_library_url, rate, open_library)
                    providers.append(OpenLibrary(service, clock))
                case google_books.NAME:
                    rate = settings.google_books_rate or GOOGLE_BOOKS_RATE
                    key = settings.google_books_api_key
                    secret = {google_books.KEY_HEADER: key.reveal()} if key else {}
                    service = cached(name, settings.google_books_url, rate, google_books, **secret)
                    providers.append(GoogleBooks(service))
        yield Lookups(providers)


def _headers(contact: str | None) -> dict[str, str]:
    """The headers of every request; with a contact, so that a service can complain before it blocks us."""
    agent = f"shelfwire/{shelfwire.__version__}"
    return {"Accept": "application/json", "User-Agent": f"{agent} ({contact})" if contact else agent}
