"""`shelfwire webhooks`: the calls of a server when jobs have ended, for its operator."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import httpx2

from shelfwire.cli.connect import ANSWER_SECONDS, KEY_VARIABLE, choose_place, running_url
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.operator_client import address_of
from shelfwire.cli.progress_summary import clean

PATH: Final = "/api/admin/webhooks"
PAGE: Final = 100
NOT_FOUND: Final = 404


def listed(
    *,
    status: Literal["waiting", "done", "given_up"] | None = None,
    limit: int = PAGE,
    server: str | None = None,
    data: Path | None = None,
) -> int:
    """List the webhooks of a server, the newest first.

    Args:
        status: Only those that are waiting, done or given_up.
        limit: The most to list.
        server: The URL of the server; by default the one of the data folder.
        data: Its data folder.
    """
    return asyncio.run(_list(status, limit, server, data))


def retry(webhook_id: str, /, *, server: str | None = None, data: Path | None = None) -> int:
    """Try a webhook again at once, and for a day if need be.

    Args:
        webhook_id: Its id, as the list has it.
        server: The URL of the server; by default the one of the data folder.
        data: Its data folder.
    """
    return asyncio.run(_retry(webhook_id, server, data))


async def _list(status: str | None, limit: int, server: str | None, data: Path | None) -> int:
    query: dict[str, Any] = {} if status is None else {"status": status}
    while limit > 0:
        page = await _ask("GET", PATH, server, data, {**query, "limit": min(limit, PAGE)})
        for item in page["items"]:
            sys.stdout.write(f"{_line(item)}\n")
        limit -= PAGE
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    return Exit.OK


async def _retry(webhook_id: str, server: str | None, data: Path | None) -> int:
    item = await _ask("POST", f"{PATH}/{quote(webhook_id, safe='')}/retry", server, data)
    sys.stdout.write(f"{_line(item)}\n")
    return Exit.OK


def _line(item: dict[str, Any]) -> str:
    made_at = datetime.fromtimestamp(item["madeAt"] / 1000, UTC)
    tries = f"{item['tries']} {'try' if item['tries'] == 1 else 'tries'}"
    words = [item["id"], item["status"], tries, f"{made_at:%Y-%m-%d %H:%M:%S}Z", item["url"], item.get("lastError", "")]
    return clean("  ".join(filter(None, words)))


async def _ask(
    method: str, path: str, server: str | None, data: Path | None, query: dict[str, Any] | None = None
) -> dict[str, Any]:
    place = choose_place(server, data, os.environ)
    url = await running_url(place)
    key = address_of(place)[1] or ""
    try:
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
            answer = await http.request(method, f"{url}{path}", params=query, headers={"X-API-Key": key})
        document = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise CommandError(f"{url} does not answer as a server does: {error}", Exit.UNREACHABLE) from None
    if not answer.is_success:
        raise CommandError(f"{document.get('detail', answer.status_code)}. {_advice(method, answer)}", Exit.UNREACHABLE)
    found: dict[str, Any] = document["data"]
    return found


def _advice(method: str, answer: httpx2.Response) -> str:
    if method == "POST" and answer.status_code == NOT_FOUND and "webhook" in answer.json().get("detail", ""):
        return "See: shelfwire webhooks list"
    return f"Put a key of the role admin into {KEY_VARIABLE}; shelfwire keys new --role admin makes one"
