"""The engine's routes; those of plug-ins come beside them."""

from collections.abc import Sequence
from typing import Final

from shelfwire.web import events, health, jobs, results, schema, tokens
from shelfwire.web.route import Route

ROUTES: Final[Sequence[Route]] = (
    *jobs.ROUTES,
    *results.ROUTES,
    *events.ROUTES,
    *tokens.ROUTES,
    *health.ROUTES,
    *schema.ROUTES,
)
