"""Lookups as the composition root makes them, against a local server that plays the services."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from shelfwire.clock import Clock, SystemClock
from shelfwire.pipelines.batch_enrichment.composing import open_lookups
from shelfwire.pipelines.batch_enrichment.lookups import Lookups
from shelfwire.settings import Settings
from tests.catalogues import Catalogues


class OpenLookups(Protocol):
    """Opens lookups on the test's data folder; each call is a new process as far as the cache can tell."""

    def __call__(
        self, services: Catalogues, *, clock: Clock | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Lookups]: ...


@pytest.fixture
def lookups(tmp_path: Path) -> OpenLookups:
    @asynccontextmanager
    async def opened(
        services: Catalogues, *, clock: Clock | None = None, **settings: Any
    ) -> AsyncIterator[Lookups]:
        given = Settings(data=tmp_path / "data", **{**services.settings, **settings})
        async with open_lookups(given, clock or SystemClock()) as found:
            yield found

    return opened
