"""The options of an import."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class GeminiUse(StrEnum):
    """When Gemini is asked about a list. Known exports are never sent."""

    AUTO = "auto"
    """If the list cannot be read with certainty without it, and there is a key."""
    ALWAYS = "always"
    """About any list; without a key the import is refused."""
    NEVER = "never"
    """Never: nothing of the list leaves the machine."""


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of an import."""

    gemini: Annotated[
        GeminiUse,
        Meta(
            description="Whether Gemini helps to read the list: only if it cannot be read otherwise, always or never."
        ),
    ] = GeminiUse.AUTO
    enrich: Annotated[
        bool, Meta(description="Whether the books are looked up with the providers of book data, too.")
    ] = False
