"""Lookups as the composition root makes them, against a local server that plays the services."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest

from shelfwire.books.batch_enrichment.factory import open_lookups
from shelfwire.books.batch_enrichment.local import LocalCatalogue
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.batch_enrichment.provider_limits import limits_for
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.limits import Limits
from tests.books.fake_services import Catalogues


class OpenLookups(Protocol):
    """Opens lookups on the test's data folder; each call is a new process as far as the cache can tell."""

    def __call__(
        self, services: Catalogues, catalogue: LocalCatalogue | None = None, *, seconds: float = 30.0, **settings: Any
    ) -> AbstractAsyncContextManager[Lookups]: ...


def hasty(rate: float, *, timeout: float) -> Limits:
    """The limits of the real thing, but for what a test would have to wait for."""
    return dataclasses.replace(limits_for(rate), backoff=0.0, timeout=timeout, pause=3600.0)


@pytest.fixture
def lookups(tmp_path: Path) -> OpenLookups:
    @asynccontextmanager
    async def opened(
        services: Catalogues, catalogue: LocalCatalogue | None = None, *, seconds: float = 30.0, **settings: Any
    ) -> AsyncIterator[Lookups]:
        given, folder = BookSettings(**{**services.settings, **settings}), tmp_path / "data"
        limits = partial(hasty, timeout=seconds)
        async with (
            httpx2.AsyncClient() as client,
            open_lookups(given, folder, client, catalogue, limits=limits, grace=0.0) as found,
        ):
            yield found

    return opened
