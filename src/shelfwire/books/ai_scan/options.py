"""The options of a scan."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a scan."""

    enrich: Annotated[
        bool, Meta(description="Whether the books are looked up with the providers of book data, too.")
    ] = False
