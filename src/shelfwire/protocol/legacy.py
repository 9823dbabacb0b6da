"""The status text of callers from before jobs had item logs. Section 7 of the contract."""

import re
from typing import Final

import msgspec

_COUNTED: Final = re.compile(r"\A[^()]{0,200}\((\d{1,9})/(\d{1,9})\)(?::\s*(.*))?\Z", re.DOTALL)


class Report(msgspec.Struct, frozen=True):
    """The content of a status text; None for what it does not say.

    Attributes:
        processed: items done.
        total: all items.
        title: the current item.
        user_message: any other text, unchanged.
    """

    processed: int | None = None
    total: int | None = None
    title: str | None = None
    user_message: str | None = None


def read(progress: float, status: str, total: int | None) -> Report:
    """Read a status text such as `"Enriching (5/10): Dune"`; any other text is a message for the user.

    Args:
        progress: the fraction done; it is clamped to 0…1, and NaN counts as 0.
        status: the text.
        total: the job's number of items, if it is known; the fraction refers to it.
    """
    counted = _COUNTED.match(status)
    if counted is not None:
        done, of, title = counted.groups()
        return Report(min(int(done), int(of)), int(of), (title or "").strip() or None)
    fraction = min(max(progress, 0.0), 1.0) if progress == progress else 0.0  # noqa: PLR0124 - NaN is not itself
    return Report(None if total is None else int(fraction * total), None, None, status or None)
