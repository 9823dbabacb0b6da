"""Gemini itself: asks, and answers with what can be believed or with one of our errors."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from shelfwire.books.codes import BookCode
from shelfwire.books.gemini import photos, rows
from shelfwire.books.gemini.answers import GeminiError, Usage, refusal, retry_delay, text_of
from shelfwire.books.gemini.photos import GeminiAnswer
from shelfwire.books.gemini.rows import ColumnsAnswer, RowsAnswer, RowText
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import RateLimited, RequestRejected, UpstreamError, UpstreamTimeout
from shelfwire.books.upstream.limits import Limits
from shelfwire.settings import Secret

T = TypeVar("T")
NAME: Final = "Gemini"
KEY_HEADER: Final = "x-goog-api-key"
MOST_OUTPUT_TOKENS: Final = 32_768
"""Of one answer, thinking included: some ten times what a full shelf or a chunk of rows needs."""
PATIENCE: Final = 65.0
"""Seconds; quotas are by the minute, so a wait for the next one is worth it."""


class GeminiMeter(Protocol):
    """Hears of each request, once it is over; must return at once and never raise."""

    def gemini(self, outcome: str, tokens_in: int, tokens_out: int) -> None:
        """A request was answered, or given up: with `ok`, `canceled` or an error code, for so many tokens."""
        ...


class NoGeminiMeter:
    """Listens to nothing."""

    def gemini(self, outcome: str, tokens_in: int, tokens_out: int) -> None:
        """See `GeminiMeter.gemini`."""


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
    """The one way to Gemini, shared by all jobs of the node.

    Every method may raise a `GeminiError` after the retries are spent: `E_GEMINI_TIMEOUT`, `E_GEMINI_RATE_LIMITED`,
    `E_GEMINI_UNAVAILABLE`, `E_GEMINI_BAD_OUTPUT` or `E_GEMINI_REJECTED`.

    Args:
        client: what sends; see `UpstreamClient`.
        settings: `gemini_url`, `gemini_model` and the limits.
        key: `gemini_api_key`; sent as a header, and nowhere else.
        meter: hears what requests cost.
        upstream: replaces the client of the service, for tests.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        settings: BookSettings,
        key: Secret,
        *,
        meter: GeminiMeter | None = None,
        upstream: UpstreamClient | None = None,
    ) -> None:
        model = quote(settings.gemini_model.removeprefix("models/"), safe="")
        self._url = f"{settings.gemini_url}/v1beta/models/{model}:generateContent"
        self._key = key
        self._meter = meter or NoGeminiMeter()
        self._upstream = upstream or UpstreamClient(
            client, name=NAME, limits=limits_of(settings), retry_hint=retry_delay
        )
        self.at_once = settings.gemini_at_once

    async def read_photo(self, jpeg: bytes, width: int, height: int) -> GeminiAnswer:
        """Name the books in a photo.

        Args:
            jpeg: the photo, upright; what is in it beside the picture is sent too, so take GPS and the like out before.
            width: in pixels; boxes come back in these.
            height: likewise.
        """
        body = _body(photos.INSTRUCTION, photos.question(jpeg), photos.SCHEMA)
        return await self._ask(body, lambda text, usage: photos.books_of(text, width, height, usage))

    async def read_columns(self, sample: Sequence[Sequence[str]], width: int) -> ColumnsAnswer:
        """Tell what the columns of a table hold.

        Args:
            sample: its first rows of cells, from the very first on; a few of them are sent.
            width: how many columns it has.
        """
        body = _body(rows.COLUMNS_INSTRUCTION, rows.about_columns(sample), rows.COLUMNS_SCHEMA)
        return await self._ask(body, lambda text, usage: rows.columns_of(text, width, usage))

    async def read_rows(self, asked: Sequence[RowText]) -> RowsAnswer:
        """Read books out of rows of free text; see `RowsAnswer` for what may be missing.

        Args:
            asked: rows of different numbers, few enough for one answer: about 40.
        """
        body = _body(rows.ROWS_INSTRUCTION, rows.about_rows(asked), rows.ROWS_SCHEMA)
        return await self._ask(body, lambda text, usage: rows.books_of_rows(text, asked, usage))

    async def _ask(self, body: bytes, read: Callable[[str, Usage], T]) -> T:
        outcome, usage = "canceled", Usage()
        try:
            text, usage = text_of(await self._send(body))
            answer, outcome = read(text, usage), "ok"
        except GeminiError as error:
            outcome, usage = error.code, error.usage
            raise
        finally:
            self._meter.gemini(outcome, usage.input, usage.output)
        return answer

    async def _send(self, body: bytes) -> bytes:
        headers = {KEY_HEADER: self._key.reveal(), "content-type": "application/json"}
        try:
            answer = await self._upstream.send(httpx2.Request("POST", self._url, headers=headers, content=body))
        except RequestRejected as refused:
            raise refusal(refused.status, refused.body) from None
        except UpstreamTimeout as failure:
            raise GeminiError(BookCode.GEMINI_TIMEOUT, str(failure)) from None
        except RateLimited as failure:
            raise GeminiError(BookCode.GEMINI_RATE_LIMITED, str(failure)) from None
        except UpstreamError as failure:
            raise GeminiError(BookCode.GEMINI_UNAVAILABLE, str(failure)) from None
        return answer.content


def _body(instruction: str, parts: list[dict[str, Any]], schema: dict[str, Any]) -> bytes:
    """A request: the instruction is ours, the parts are data, and the schema binds what can come back."""
    return msgspec.json.encode(
        {
            "systemInstruction": {"parts": [{"text": instruction}]},
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {
                "temperature": 0,
                "candidateCount": 1,
                "maxOutputTokens": MOST_OUTPUT_TOKENS,
                "responseMimeType": "application/json",
                "responseSchema": schema,
            },
        }
    )
