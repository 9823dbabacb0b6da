"""What is particular to one outside service."""

from collections.abc import Callable
from typing import NamedTuple

import httpx2

from shelfwire.books.upstream.refusals import Refusal, refusal_of


class Traits(NamedTuple):
    """How a service answers, and what an operator can change about it.

    Attributes:
        key: the setting that holds its key.
        address: the settings that say where it is.
        fault: why an answer is unusable although its status does not say so, such as a web page instead of JSON, as
            the end of a sentence; None if it is usable. The service counts as unavailable then.
        refusal: why an answer refuses all requests and not only this one; None if it does not.
    """

    key: str = "its key"
    address: str = "its address"
    fault: Callable[[httpx2.Response], str | None] = lambda _: None
    refusal: Callable[[httpx2.Response], Refusal | None] = refusal_of
