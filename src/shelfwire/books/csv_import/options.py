"""The options of an import."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from shelfwire.books.csv_import.field_names import ColumnMeaning


class GeminiUse(StrEnum):
    """When Gemini is asked about a list. Known exports are never sent."""

    AUTO = "auto"
    """If the list cannot be read with certainty without it, and there is a key."""
    ALWAYS = "always"
    """About any list; without a key the import is refused."""
    NEVER = "never"
    """Never: nothing of the list leaves the machine."""


class Duplicates(StrEnum):
    """What becomes of a row that has the same book as an earlier one, where nothing tells the two apart."""

    REFUSE = "refuse"
    """It fails, and the earlier row takes over what it says more, such as the dates of another read."""
    KEEP = "keep"
    """It is imported as well."""


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of an import."""

    gemini: Annotated[
        GeminiUse,
        Meta(
            description="Whether Gemini helps to read the list: only if it cannot be read otherwise, always or never."
        ),
    ] = GeminiUse.AUTO
    columns: Annotated[
        dict[str, ColumnMeaning],
        Meta(
            description="What columns hold, by their name or their number from 1, where the file does not show it "
            '(`{"Score /5": "rating", "Shop": "ignore"}`).'
        ),
    ] = msgspec.field(default_factory=dict)
    duplicates: Annotated[
        Duplicates,
        Meta(description="What becomes of a row that has the same book as an earlier one: it is refused or kept."),
    ] = Duplicates.REFUSE
    enrich: Annotated[
        bool, Meta(description="Whether the books are looked up with the providers of book data, too.")
    ] = False
