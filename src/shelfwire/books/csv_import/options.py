"""The options of imports and scans: whether Gemini helps to read a list, whether books are looked up."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

NO_KEY: Final = (
    "Gemini is to read the list, and the server has no key for it: set GEMINI_API_KEY, or leave the option out"
)
NO_KEY_FOR_A_PERSON: Final = (
    "This service cannot ask Gemini. Import the list without it, or ask the operator to set it up."
)


class GeminiUse(StrEnum):
    """Whether Gemini is asked."""

    AUTO = "auto"
    """About what cannot be told with confidence without it, if there is a key."""
    ALWAYS = "always"
    """Whatever the list; without a key there is no import."""
    NEVER = "never"
    """Nothing of the list leaves the machine."""


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a scan."""

    enrich: Annotated[
        bool,
        msgspec.Meta(description="Whether the books that are found are looked up with the providers of book data too."),
    ] = False


class ImportOptions(ScanOptions, frozen=True, kw_only=True):
    """The options of an import."""

    gemini: Annotated[
        GeminiUse,
        msgspec.Meta(
            description="Whether Gemini helps to read the list: where nothing else is sure of it, always or never."
        ),
    ] = GeminiUse.AUTO
