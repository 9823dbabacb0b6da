"""Parsing of Gemini's responses. Pure: bytes in, text and tokens out, or one of our errors.

Of what the service says, errors hold only its short names, such as `PERMISSION_DENIED`: its texts may repeat what was
sent.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Self, TypeVar

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
_FENCED: Final = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_UNKNOWN_FIELD: Final = re.compile(rb'Unknown name \\?"([A-Za-z_]{1,64})\\?"')
_MOST_DIGITS: Final = 12
_MOST_OF_ERROR: Final = 4096


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

    def __init__(
        self,
        code: BookCode,
        message: str,
        usage: Usage = Usage(),  # noqa: B008 - it is frozen
        *,
        hopeless: bool = False,
        user_message: str | None = None,
    ) -> None:
        super().__init__(code, message, user_message=user_message)
        self.usage = usage
        self.hopeless = hopeless


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool | None = None


class _Content(msgspec.Struct):
    parts: list[_Part | None] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """What the model says, without what it thinks: its parts, joined."""
        parts = (self.content.parts if self.content else None) or []
        return "".join(part.text or "" for part in parts if part and not part.thought)


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None

    def usage(self) -> Usage:
        output = _tokens(self.candidates_token_count) + _tokens(self.thoughts_token_count)
        return Usage(_sane(_tokens(self.prompt_token_count)), _sane(output))


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate | None] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Metadata | None = None


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
    candidate = next((one for one in answer.candidates or () if one), None)
    if candidate is None:
        raise _bad("Gemini's answer is empty", usage)
    reason = candidate.finish_reason or "STOP"
    if reason in _REFUSALS:
        raise _rejected(f"Gemini refused the content ({reason})", usage)
    if reason != "STOP":
        raise _bad(f"Gemini's answer is cut off ({_named(reason)})", usage)
    if not (text := unfenced(candidate.text)).strip():
        raise _bad("Gemini's answer is empty", usage)
    return text, usage


def unfenced(text: str) -> str:
    """The JSON in a text that a model may have put into a code fence, with a sentence around it; else as it is."""
    bare = text.strip("\ufeff \t\r\n")
    if bare.startswith(("[", "{")):
        return bare
    fenced = _FENCED.findall(bare)
    return fenced[0] if len(fenced) == 1 else text


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


def unknown_fields(body: bytes) -> set[str]:
    """The names in a request that an answer of status 400 says it does not know."""
    return {name.decode() for name in _UNKNOWN_FIELD.findall(body[:_MOST_OF_ERROR])}


def _named(name: str) -> str:
    return name if _SHORT_NAME.fullmatch(name) else "for a reason without a name"


def _tokens(count: Any) -> int:
    if isinstance(count, str) and count.isascii() and count.isdecimal():
        count = int(count[:_MOST_DIGITS])
    return count if type(count) is int else 0


def _sane(tokens: int) -> int:
    return min(max(tokens, 0), MAX_TOKENS)


def _bad(message: str, usage: Usage) -> GeminiError:
    return GeminiError(BookCode.GEMINI_BAD_OUTPUT, message, usage)


def _rejected(message: str, usage: Usage) -> GeminiError:
    return GeminiError(BookCode.GEMINI_REJECTED, message, usage)
