"""What a `Job` reads and keeps, over HTTP."""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from shelfwire.client.errors import ConnectionLostError, data_of, read, refusal
from shelfwire.client.http import Response
from shelfwire.client.reporting.attempt import PATIENCE_SECONDS, Attempt, AttemptLostError, Retries
from shelfwire.client.reporting.delivery import lost
from shelfwire.jobs.store import Item

PAGE: Final = 1000
NOT_FOUND: Final = 404


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    index: int
    ok: bool
    title: str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    source_index: int | None = None


class _Page(msgspec.Struct, frozen=True):
    items: list[_Item]
    next: str | None = None


class RemoteStore:
    """The inputs, the log and the kept data of one attempt. A `JobInputs`.

    All methods wait while the server is away.

    Args:
        retries: sends requests.
        attempt: the attempt.

    Raises:
        AttemptLostError: by all methods: the attempt has lost the job, or the server was away for too long.
        RefusedError: by all methods: the server refuses it.
    """

    def __init__(self, retries: Retries, attempt: Attempt) -> None:
        self._retries = retries
        self._attempt = attempt

    async def read_input(self, job_id: str, name: str) -> bytes:
        """See `JobInputs.read_input`."""
        del job_id
        return await self._bytes("inputs", name) or b""

    async def items(self, job_id: str, *, after: int, limit: int) -> list[Item]:
        """See `JobInputs.items`."""
        del job_id
        found: list[Item] = []
        more: str | None = str(after)
        while more is not None and len(found) < limit:
            params = {"after": more, "limit": str(min(PAGE, limit - len(found)))}
            page = read(await self._ask("GET", "/log", params=params), _Page)
            found += [_item(item) for item in page.items]
            more = page.next
        return found

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes) -> bool:
        """See `JobInputs.keep`."""
        del job_id, attempt
        try:
            data_of(await self._ask("PUT", f"/kept/{quote(name, safe='')}", content=data))
        except AttemptLostError:
            return False
        return True

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """See `JobInputs.kept`."""
        del job_id
        return await self._bytes("kept", name)

    async def _bytes(self, kind: str, name: str) -> bytes | None:
        answer = await self._ask("GET", f"/{kind}/{quote(name, safe='')}")
        if answer.status == NOT_FOUND:
            return None
        return answer.body

    async def _ask(self, method: str, below: str, **content: Any) -> Response:
        request = self._attempt.request(method, below, **content)
        try:
            answer, _ = await self._retries.answered(request, PATIENCE_SECONDS)
        except ConnectionLostError as error:
            raise AttemptLostError(error.message) from error
        if not answer.good and answer.status != NOT_FOUND:
            refused = refusal(answer)
            raise lost(refused) or refused
        return answer


def _item(item: _Item) -> Item:
    body = item.result if item.ok else item.error
    # A copy: what is read is a part of the page, which would stay in memory for each of its items.
    raw = msgspec.Raw(b"null" if body is msgspec.UNSET else bytes(body))
    return Item(item.index, item.ok, item.title, raw, item.source_index)
