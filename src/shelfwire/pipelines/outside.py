"""What pipelines reach beyond this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from shelfwire import __version__
from shelfwire.pipelines.gemini.adapter import Gemini, GeminiMeter
from shelfwire.settings import Settings


@dataclass
class Outside:
    """The outside services, each there only while the application runs, and only if it is set up.

    Attributes:
        gemini: reads photos and lists of unknown layout.
        gemini_required: whether items fail that Gemini does not answer for, instead of being read without it.
    """

    gemini: Gemini | None = None
    gemini_required: bool = False

    @asynccontextmanager
    async def open(self, settings: Settings, meter: GeminiMeter) -> AsyncIterator[None]:
        """Reach the services until the context ends.

        Args:
            settings: which there are, and what they stand.
            meter: hears what requests cost.
        """
        self.gemini_required = settings.gemini_required
        if settings.gemini_api_key is None:
            yield
            return
        async with httpx2.AsyncClient(headers={"user-agent": f"shelfwire/{__version__}"}) as client:
            self.gemini = Gemini(client, settings, settings.gemini_api_key, meter=meter)
            try:
                yield
            finally:
                self.gemini = None
