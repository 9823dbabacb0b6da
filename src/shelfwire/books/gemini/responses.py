"""Parsing of Gemini's responses. Pure: bytes in, text and tokens out, or one of our errors.

Of what the service says, errors hold only its short names, such as `PERMISSION_DENIED`: its texts may repeat what was
sent.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Self, TypeVar

import httpx2
import msgspec

from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError

T = TypeVar("T")
MAX_TOKENS: Final = 100_000_000
"""Of one answer; a larger figure is a mistake of the service."""
_REFUSALS: Final = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"}
)
_SHORT_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_ACCESS: Final = frozenset({"API_KEY_INVALID", "PERMISSION_DENIED", "UNAUTHENTICATED", "FAILED_PRECONDITION"})
_ACCESS_STATUSES: Final = frozenset({401, 403, 404})


class Usage(msgspec.Struct, frozen=True):
    """Tokens that were paid for.

    Attributes:
        input: of what was sent.
        output: of the answer, and of the thinking before it.
    """

    input: int = 0
    output: int = 0

    def __add__(self, other: Self) -> "Usage":
        """Sum."""
        return Usage(self.input + other.input, self.output + other.output)

    @property
    def total(self) -> int:
        """Sum of input and output."""
        return self.input + self.output


class GeminiError(ShelfwireError):
    """Gemini was asked, and gave no usable answer.

    Attributes:
        usage: what it cost nevertheless.
        hopeless: whether every further request would be refused too, as with a wrong key.
    """

    def __init__(self, code: BookCode, message: str, usage: Usage = Usage(), *, hopeless: bool = False) -> None:  # noqa: B008 - it is frozen
        super().__init__(code, message)
        self.usage = usage
        self.hopeless = hopeless


class _Part(msgspec.Struct):
    text: str = ""
    thought: bool = False


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str = "STOP"


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0

    def usage(self) -> Usage:
        output = self.candidates_token_count + self.thoughts_token_count
        return Usage(_sane(self.prompt_token_count), _sane(output))


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Metadata | None = None


class _Error(msgspec.Struct):
    status: str = ""
    details: list[dict[str, Any]] = []


class _Failure(msgspec.Struct):
    error: _Error


def answer_text(body: bytes) -> tuple[str, Usage]:
    """Return the text of an answer of status 200, and what it cost.

    Raises:
        GeminiError: `E_GEMINI_BAD_OUTPUT`: it is cut off, empty or no answer of Gemini at all; `E_GEMINI_REJECTED`: the
            content was refused.
    """
    answer = decode(body, _Answer, Usage())
    usage = answer.usage_metadata.usage() if answer.usage_metadata else Usage()
    if answer.prompt_feedback and answer.prompt_feedback.block_reason:
        raise _rejected(f"Gemini refused the content ({_named(answer.prompt_feedback.block_reason)})", usage)
    if not answer.candidates:
        raise _bad("Gemini's answer is empty", usage)
    candidate = answer.candidates[0]
    if candidate.finish_reason in _REFUSALS:
        raise _rejected(f"Gemini refused the content ({candidate.finish_reason})", usage)
    if candidate.finish_reason != "STOP":
        raise _bad(f"Gemini's answer is cut off ({_named(candidate.finish_reason)})", usage)
    parts = candidate.content.parts if candidate.content else []
    text = "".join(part.text for part in parts if not part.thought)
    if not text.strip():
        raise _bad("Gemini's answer is empty", usage)
    return text, usage


def decode(text: bytes | str, kind: type[T], usage: Usage) -> T:
    """Decode JSON that Gemini wrote.

    Raises:
        GeminiError: `E_GEMINI_BAD_OUTPUT`: it is no JSON, or does not match the type.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise _bad("Gemini's answer is not of the form asked for", usage) from None


def decode_array(text: str, kind: type[T], usage: Usage) -> Iterator[T]:
    """Decode an array that Gemini wrote, skipping the elements that do not match the type.

    Raises:
        GeminiError: `E_GEMINI_BAD_OUTPUT`: it is no array, or none of its elements matches.
    """
    elements = decode(text, list[msgspec.Raw], usage)
    good = 0
    for element in elements:
        try:
            entry = msgspec.json.decode(element, type=kind)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            continue
        good += 1
        yield entry
    if elements and not good:
        raise _bad("Nothing in Gemini's answer is of the form asked for", usage)


def rejection(status: int, body: bytes) -> GeminiError:
    """The error for a response with a status other than 2xx that is not retried."""
    error = _error(body)
    reasons = {error.status, *(str(detail.get("reason", "")) for detail in error.details)}
    names = " ".join(sorted(name for name in reasons if _SHORT_NAME.fullmatch(name)))
    details = f"status {status} {names}".strip()
    if "API_KEY_INVALID" in reasons:
        return _rejected(f"Gemini does not know the API key ({details}). Check gemini_api_key", hopeless=True)
    if status in _ACCESS_STATUSES or reasons & _ACCESS:
        what = "Gemini refuses access, or does not know the model"
        return _rejected(f"{what} ({details}). Check gemini_api_key, gemini_model and gemini_url", hopeless=True)
    return _rejected(f"Gemini refused the request ({details})")


def retry_delay(response: httpx2.Response) -> float | None:
    """The seconds that an error asks to wait, as Google's services write them in the body; None if it does not."""
    for detail in _error(response.content).details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := _DELAY.fullmatch(delay)):
            return float(seconds[1])
    return None


def _error(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Failure).error
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _Error()


def _named(name: str) -> str:
    return name if _SHORT_NAME.fullmatch(name) else "for a reason without a name"


def _sane(tokens: int) -> int:
    return min(max(tokens, 0), MAX_TOKENS)


def _bad(message: str, usage: Usage) -> GeminiError:
    return GeminiError(BookCode.GEMINI_BAD_OUTPUT, message, usage)


def _rejected(message: str, usage: Usage = Usage(), *, hopeless: bool = False) -> GeminiError:  # noqa: B008 - as above
    return GeminiError(BookCode.GEMINI_REJECTED, message, usage, hopeless=hopeless)
