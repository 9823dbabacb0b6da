"""Puts the providers together as the settings say, with their limits and the cache they share."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

import httpx2

import shelfwire
from shelfwire.books.batch_enrichment import google_books, local, open_library
from shelfwire.books.batch_enrichment.answers import GRACE_SECONDS, KNOWN_SECONDS, Answers
from shelfwire.books.batch_enrichment.cache import Cache
from shelfwire.books.batch_enrichment.google_books import GoogleBooks
from shelfwire.books.batch_enrichment.local import Local, LocalCatalogue
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.batch_enrichment.open_library import OpenLibrary
from shelfwire.books.batch_enrichment.port import Provider
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.limits import Limits
from shelfwire.clock import Clock, SystemClock

CACHE_FILE: Final = ("cache", "answers-1.db")
"""Where the answers are, in the data folder; the number is raised when they take another form."""
OPEN_LIBRARY_RATE: Final = 1.0
OPEN_LIBRARY_RATE_WITH_CONTACT: Final = 3.0
GOOGLE_BOOKS_RATE: Final = 2.0
BURST_SECONDS: Final = 0.1
"""Requests begin evenly, except for those of this period."""
HEADROOM: Final = 1.04
"""Requests that are sent at the limit would arrive above it, because no network takes equally long for all."""
MOST_FAILURES: Final = 8
"""In a row, until a service is given up."""
FEW_FAILURES: Final = 4
"""Likewise for one that is asked too rarely for more."""
PAUSE_SECONDS: Final = 2.0
"""Until one request tries how a service is that was given up; less than such a service is waited for."""
SECONDS_UNDER_WAY: Final = 3.0
"""Seconds an answer may take without keeping the rate from being used."""


def limits_for(rate: float) -> Limits:
    """The limits of a service that allows `rate` requests a second."""
    # The shortest period, of a second or more, that whole requests fit into.
    whole = max(1, math.floor(rate))
    return Limits(
        rate=whole,
        period=whole / rate * HEADROOM,
        burst=max(1, math.floor(rate * BURST_SECONDS)),
        at_once=max(2, math.ceil(rate * SECONDS_UNDER_WAY)),
        attempts=4,
        timeout=12.0,
        least_timeout=2.0,
        failures=MOST_FAILURES if rate >= MOST_FAILURES else FEW_FAILURES,
        pause=PAUSE_SECONDS,
    )


@asynccontextmanager
async def open_lookups(
    settings: BookSettings,
    folder: Path,
    client: httpx2.AsyncClient,
    catalogue: LocalCatalogue | None = None,
    clock: Clock | None = None,
    limits: Callable[[float], Limits] = limits_for,
    grace: float = GRACE_SECONDS,
) -> AsyncIterator[Lookups]:
    """Open what looks books up, with the cache of its answers, until the context ends.

    Args:
        settings: the providers, where they are and how often they may be asked.
        folder: the data folder, for the cache.
        client: the HTTP client; the upstream clients limit the connections to each service.
        catalogue: the local catalogue, if there is one.
        clock: the time; the machine's unless a test turns another.
        limits: the limits of a service, by its requests a second.
        grace: see `answers.GRACE_SECONDS`.
    """
    clock = clock or SystemClock()
    async with Cache(folder.joinpath(*CACHE_FILE), KNOWN_SECONDS) as cache:

        def answers(name: str, url: str, rate: float, service: ModuleType, **secret: str) -> Answers:
            upstream = UpstreamClient(client, name=name, limits=limits(rate), clock=clock, fault=service.wrong)
            sent = _headers(settings.contact) | secret
            return Answers(url, upstream, cache, headers=sent, is_known=service.is_known, clock=clock, grace=grace)

        providers: list[Provider] = []
        for name in settings.providers:
            match name:
                case local.NAME if catalogue is not None:
                    providers.append(Local(catalogue))
                case open_library.NAME:
                    rate = settings.open_library_rate or _open_library_rate(settings.contact)
                    service = answers(name, settings.open_library_url, rate, open_library)
                    providers.append(OpenLibrary(service, clock))
                case google_books.NAME:
                    rate = settings.google_books_rate or GOOGLE_BOOKS_RATE
                    key = settings.google_books_api_key
                    secret = {google_books.KEY_HEADER: key.reveal()} if key else {}
                    service = answers(name, settings.google_books_url, rate, google_books, **secret)
                    providers.append(GoogleBooks(service))
        yield Lookups(providers)


def _open_library_rate(contact: str | None) -> float:
    return OPEN_LIBRARY_RATE_WITH_CONTACT if contact else OPEN_LIBRARY_RATE


def _headers(contact: str | None) -> dict[str, str]:
    """Who asks, so that a service can write to somebody before it shuts them out."""
    agent = f"shelfwire/{shelfwire.__version__}"
    return {"Accept": "application/json", "User-Agent": f"{agent} ({contact})" if contact else agent}
