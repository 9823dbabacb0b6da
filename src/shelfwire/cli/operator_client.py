"""The way to a server as its operator: with the key of this machine, or with one's own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2

from shelfwire.cli.connect import KEY_VARIABLE, JobLocation, Session, choose_place
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.server.discovery import announcement_in

API_KEY: Final = "X-API-Key"
ANSWER_SECONDS: Final = 60.0


class OperatorClient:
    """Speaks to a server as its operator.

    Args:
        http: the connection, with the address and the key.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return str(self._http.base_url).rstrip("/")

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the content of an answer; None if it has none.

        Raises:
            CommandError: the server refused, or cannot be reached.
        """
        try:
            answer = await self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise CommandError(f"The server does not answer: {error}", Exit.UNREACHABLE) from None
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            document = answer.json()
            if answer.is_success:
                return document["data"]
            reason, code = document["detail"], document["code"]
        except (ValueError, LookupError, TypeError):
            raise CommandError(f"The server answered {answer.status_code} in no form that is known") from None
        if path.startswith("/api/jobs/"):
            raise CommandError(f"{reason}", Exit.UNREACHABLE)
        hint = f". Set {KEY_VARIABLE} to a key of the role admin" if answer.status_code in _NO_KEY else ""
        raise CommandError(f"The server refused ({code}): {reason}{hint}", Exit.UNREACHABLE)


_NO_KEY: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@asynccontextmanager
async def operating(server: str | None, data: Path | None) -> AsyncIterator[OperatorClient]:
    """Find the server, or start one for this on the data folder, and yield the way to it.

    Args:
        server: the URL of the server.
        data: the data folder of the server of this machine.

    Raises:
        CommandError: there is none.
    """
    place = choose_place(server, data, os.environ)
    async with Session(place, work=False):
        url, key = address_of(place)
        headers = {API_KEY: key} if key else {}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False) as http:
            yield OperatorClient(http)


def address_of(place: JobLocation) -> tuple[str, str | None]:
    """Return the URL of a place's server, and the key for it: that of this machine, or one's own.

    Raises:
        CommandError: no server holds the data folder.
    """
    own = os.environ.get(KEY_VARIABLE)
    if place.data is None:
        return place.server or "", own
    found = announcement_in(place.data)
    if found is None:
        raise CommandError(f"The server of the data folder {place.data} cannot be found any more", Exit.UNREACHABLE)
    return found.url, found.admin_key or own
