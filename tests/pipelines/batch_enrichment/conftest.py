"""Lookups as the composition root makes them, against a local server that plays the services."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from shelfwire.clock import SystemClock
from shelfwire.pipelines.batch_enrichment.composing import limits_for, open_lookups
from shelfwire.pipelines.batch_enrichment.local import LocalCatalogue
from shelfwire.pipelines.batch_enrichment.lookups import Lookups
from shelfwire.pipelines.outgoing import Limits
from shelfwire.settings import Settings
from tests.catalogues import Catalogues


class OpenLookups(Protocol):
    """Opens lookups on the test's data folder; each call is a new process as far as the cache can tell."""

    def __call__(
        self, services: Catalogues, catalogue: LocalCatalogue | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Lookups]: ...


def hasty(rate: float) -> Limits:
    """The limits of the real thing, but for what a test would have to wait for."""
    return dataclasses.replace(limits_for(rate), backoff=0.0, timeout=0.5, pause=3600.0)


@pytest.fixture
def lookups(tmp_path: Path) -> OpenLookups:
    @asynccontextmanager
    async def opened(
        services: Catalogues, catalogue: LocalCatalogue | None = None, **settings: Any
    ) -> AsyncIterator[Lookups]:
        given = Settings(data=tmp_path / "data", **{**services.settings, **settings})
        async with open_lookups(given, SystemClock(), catalogue, hasty) as found:
            yield found

    return opened
