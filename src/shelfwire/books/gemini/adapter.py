"""The client of Gemini: sends requests, and returns validated answers or raises our errors."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2
import msgspec
import structlog

from shelfwire.books.codes import BookCode
from shelfwire.books.gemini import list_prompt, photo_prompt
from shelfwire.books.gemini.list_prompt import ColumnsAnswer, RowsAnswer, RowText
from shelfwire.books.gemini.photo_prompt import PhotoAnswer
from shelfwire.books.gemini.responses import GeminiError, Usage, answer_text, unknown_fields
from shelfwire.books.settings import BookSettings
from shelfwire.books.upstream.client import UpstreamClient
from shelfwire.books.upstream.errors import RateLimited, Reason, RequestRejected, UpstreamError, UpstreamTimeout
from shelfwire.books.upstream.limits import Limits
from shelfwire.books.upstream.refusals import Refusal, error_of, refusal_of_address
from shelfwire.books.upstream.shared_lane import Lanes, SharedLane
from shelfwire.books.upstream.traits import Traits
from shelfwire.settings import Secret

T = TypeVar("T")
NAME: Final = "Gemini"
KEY_HEADER: Final = "x-goog-api-key"
MAX_OUTPUT_TOKENS: Final = 32_768
"""Of one answer, thinking included: about ten times what a full shelf or a chunk of rows needs."""
PATIENCE: Final = 65.0
"""Seconds; where a quota is by the minute, waiting for the next minute is worth it."""
MOST_REFUSED: Final = 2
"""Requests in a row that are refused as wrong, without any answer in between, until the next would be, too."""
REFUSED: Final = "The book recognition refuses this service ({}). Its operator has to see to it."
_OPTIONAL: Final = frozenset({"propertyOrdering", "nullable", "description", "temperature", "candidateCount"})
"""Members of a request that help, and that an answer can do without."""
_BAD_REQUEST: Final = 400

log = structlog.get_logger(__name__)


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
        failed: receives the reason of each request that fails, retries included; likewise.
        upstream: replaces the client of the service, for tests.
        lanes: makes the lane that it shares with other nodes; None where it is alone.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        settings: BookSettings,
        key: Secret,
        *,
        report: Callable[[str, Usage], None] = lambda _, __: None,
        failed: Callable[[Reason], None] = lambda _: None,
        upstream: UpstreamClient | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        model = quote(settings.gemini_model.removeprefix("models/"), safe="")
        self._url = f"{settings.gemini_url}/v1beta/models/{model}:generateContent"
        self._key = key
        self._report = report
        limits = limits_of(settings)
        lane = None if lanes is None else lanes.of(NAME, limits, self._url, key.reveal())
        self._upstream = upstream or upstream_of(client, limits, failed, lane)
        self._left_out: frozenset[str] = frozenset()
        self._refused_in_a_row = 0
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

    async def _ask(self, body: dict[str, Any], parse: Callable[[str, Usage], T]) -> T:
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

    async def _send(self, body: dict[str, Any]) -> bytes:
        """Send a request, and once more without members that Gemini does not know if an answer can do without them."""
        for is_second in (False, True):
            try:
                answer = await self._sent(msgspec.json.encode(_without(self._left_out, body)))
            except RequestRejected as refused:
                unknown = unknown_fields(refused.body) if refused.status == _BAD_REQUEST else set()
                if is_second or not unknown:
                    raise self._rejection(refused, unknown) from None
                log.warning("Gemini does not know members of a request, they are left out", members=sorted(unknown))
                self._left_out |= unknown
            else:
                self._refused_in_a_row = 0
                return answer
        raise AssertionError("the second request returns or raises")

    async def _sent(self, content: bytes) -> bytes:
        headers = {KEY_HEADER: self._key.reveal(), "content-type": "application/json"}
        try:
            answer = await self._upstream.send(httpx2.Request("POST", self._url, headers=headers, content=content))
        except RequestRejected:
            raise
        except UpstreamTimeout as failure:
            raise GeminiError(BookCode.GEMINI_TIMEOUT, str(failure)) from None
        except RateLimited as failure:
            if failure.reason is Reason.DAY_QUOTA:
                raise GeminiError(BookCode.GEMINI_QUOTA_SPENT, str(failure), hopeless=True) from None
            raise GeminiError(BookCode.GEMINI_RATE_LIMITED, str(failure)) from None
        except UpstreamError as failure:
            raise GeminiError(BookCode.GEMINI_UNAVAILABLE, str(failure)) from None
        return answer.content

    def _rejection(self, refused: RequestRejected, unknown: set[str]) -> GeminiError:
        """The error for a request that Gemini refused, which the next may be, too."""
        if refused.reason.is_lasting:
            person = REFUSED.format(refused.reason.text.short)
            return GeminiError(BookCode.GEMINI_REJECTED, str(refused), hopeless=True, user_message=person)
        error = error_of(httpx2.Response(refused.status, content=refused.body))
        message = f"Gemini refused the request ({error.details if error else f'status {refused.status}'})"
        if unknown:
            named = ", ".join(sorted(unknown))
            message = f"{message}: it does not know {named}. Check gemini_model and gemini_url"
        self._refused_in_a_row += 1
        hopeless = bool(unknown) or self._refused_in_a_row >= MOST_REFUSED
        return GeminiError(BookCode.GEMINI_REJECTED, message, hopeless=hopeless)


def upstream_of(
    client: httpx2.AsyncClient,
    limits: Limits,
    failed: Callable[[Reason], None] = lambda _: None,
    lane: SharedLane | None = None,
) -> UpstreamClient:
    """The client of Gemini's service."""
    return UpstreamClient(
        client,
        name=NAME,
        limits=limits,
        traits=Traits(key="gemini_api_key", address="gemini_model and gemini_url", refusal=_refusal),
        report=failed,
        lane=lane,
    )


def _refusal(response: httpx2.Response) -> Refusal | None:
    """See `refusals.refusal_of_address`. Nor is anything answered where what all requests need is not known."""
    unknown = unknown_fields(response.content) if response.status_code == _BAD_REQUEST else set()
    if unknown - _OPTIONAL:
        return Refusal(Reason.NOT_FOUND, " ".join((f"status {response.status_code}", *sorted(unknown))))
    return refusal_of_address(response)


def _without(names: frozenset[str], value: Any) -> Any:
    """A request without the members of these names, wherever they are."""
    if not names:
        return value
    if isinstance(value, dict):
        return {name: _without(names, member) for name, member in value.items() if name not in names}
    return [_without(names, one) for one in value] if isinstance(value, list) else value


def _body(instruction: str, parts: list[dict[str, Any]], schema: dict[str, Any]) -> dict[str, Any]:
    """A request body: the instruction is ours, the parts are data, and the schema constrains the answer."""
    return {
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
