"""The client of Gemini: sends requests, and returns validated answers or raises our errors."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from shelfwire.books.codes import BookCode
from shelfwire.books.gemini import list_prompt, photo_prompt
from shelfwire.books.gemini.list_prompt import ColumnsAnswer, RowsAnswer, RowText
from shelfwire.books.gemini.photo_prompt import PhotoAnswer
from shelfwire.books.gemini.responses import GeminiError, Usage, answer_text, rejection, retry_delay
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import RateLimited, RequestRejected, UpstreamError, UpstreamTimeout
from shelfwire.books.upstream.limits import Limits
from shelfwire.settings import Secret

T = TypeVar("T")
NAME: Final = "Gemini"
KEY_HEADER: Final = "x-goog-api-key"
MAX_OUTPUT_TOKENS: Final = 32_768
"""Of one answer, thinking included: about ten times what a full shelf or a chunk of rows needs."""
PATIENCE: Final = 65.0
"""Seconds; quotas are by the minute, so that waiting for the next minute is worth it."""


def limits_of(settings: BookSettings) -> Limits:
    """The limits of Gemini, from the settings."""
    return Limits(
        rate=settings.gemini_rate,
        period=60.0,
        at_once=settings.gemini_at_once,
        timeout=settings.gemini_timeout,
        backoff=1.0,
        longest_backoff=20.0,
        patience=PATIENCE,
        failures=2 * settings.gemini_at_once,
    )


class Gemini:
    """The client of Gemini, shared by all jobs of the process.

    Every method raises a `GeminiError` when all retries have failed: `E_GEMINI_TIMEOUT`, `E_GEMINI_RATE_LIMITED`,
    `E_GEMINI_UNAVAILABLE`, `E_GEMINI_BAD_OUTPUT` or `E_GEMINI_REJECTED`.

    Args:
        client: sends the requests; see `UpstreamClient`.
        settings: `gemini_url`, `gemini_model` and the limits.
        key: `gemini_api_key`; sent as a header, and nowhere else.
        report: receives the outcome of each request, `ok`, `canceled` or an error code, and the tokens it used; must
            return at once and never raise.
        upstream: replaces the client of the service, for tests.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        settings: BookSettings,
        key: Secret,
        *,
        report: Callable[[str, Usage], None] = lambda _, __: None,
        upstream: UpstreamClient | None = None,
    ) -> None:
        model = quote(settings.gemini_model.removeprefix("models/"), safe="")
        self._url = f"{settings.gemini_url}/v1beta/models/{model}:generateContent"
        self._key = key
        self._report = report
        self._upstream = upstream or UpstreamClient(
            client, name=NAME, limits=limits_of(settings), retry_hint=retry_delay
        )
        self.at_once = settings.gemini_at_once

    async def read_photo(self, jpeg: bytes, width: int, height: int) -> PhotoAnswer:
        """Name the books in a photo.

        Args:
            jpeg: the photo, upright and without metadata: all of it is sent, so remove GPS and the like before.
            width: in pixels, which are the unit of the boxes returned.
            height: likewise.
        """
        body = _body(photo_prompt.INSTRUCTION, photo_prompt.parts(jpeg), photo_prompt.SCHEMA)
        return await self._ask(body, lambda text, usage: photo_prompt.parse(text, width, height, usage))

    async def read_columns(self, sample: Sequence[Sequence[str]], width: int) -> ColumnsAnswer:
        """Find out what the columns of a table hold.

        Args:
            sample: its rows of cells from the first on, of which the first few are sent.
            width: how many columns it has.
        """
        body = _body(list_prompt.COLUMNS_INSTRUCTION, list_prompt.columns_parts(sample), list_prompt.COLUMNS_SCHEMA)
        return await self._ask(body, lambda text, usage: list_prompt.parse_columns(text, width, usage))

    async def read_rows(self, rows: Sequence[RowText]) -> RowsAnswer:
        """Read books out of rows of free text; see `RowsAnswer` for what may be missing.

        Args:
            rows: with distinct numbers, few enough for one answer: about 40.
        """
        body = _body(list_prompt.ROWS_INSTRUCTION, list_prompt.rows_parts(rows), list_prompt.ROWS_SCHEMA)
        return await self._ask(body, lambda text, usage: list_prompt.parse_rows(text, rows, usage))

    async def _ask(self, body: bytes, parse: Callable[[str, Usage], T]) -> T:
        outcome, usage = "canceled", Usage()
        try:
            text, usage = answer_text(await self._send(body))
            answer, outcome = parse(text, usage), "ok"
        except GeminiError as error:
            outcome, usage = error.code, error.usage
            raise
        finally:
            self._report(outcome, usage)
        return answer

    async def _send(self, body: bytes) -> bytes:
        headers = {KEY_HEADER: self._key.reveal(), "content-type": "application/json"}
        try:
            answer = await self._upstream.send(httpx2.Request("POST", self._url, headers=headers, content=body))
        except RequestRejected as refused:
            raise rejection(refused.status, refused.body) from None
        except UpstreamTimeout as failure:
            raise GeminiError(BookCode.GEMINI_TIMEOUT, str(failure)) from None
        except RateLimited as failure:
            raise GeminiError(BookCode.GEMINI_RATE_LIMITED, str(failure)) from None
        except UpstreamError as failure:
            raise GeminiError(BookCode.GEMINI_UNAVAILABLE, str(failure)) from None
        return answer.content


def _body(instruction: str, parts: list[dict[str, Any]], schema: dict[str, Any]) -> bytes:
    """A request body: the instruction is ours, the parts are data, and the schema constrains the answer."""
    return msgspec.json.encode(
        {
            "systemInstruction": {"parts": [{"text": instruction}]},
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {
                "temperature": 0,
                "candidateCount": 1,
                "maxOutputTokens": MAX_OUTPUT_TOKENS,
                "responseMimeType": "application/json",
                "responseSchema": schema,
            },
        }
    )
