"""The status text of callers from before jobs had item logs. Section 7 of the contract."""

import re
from typing import Final

import msgspec

_COUNTED: Final = re.compile(r"\A[^()]{0,200}\((\d{1,9})/(\d{1,9})\)(?::\s*(.*))?\Z", re.DOTALL)


class Report(msgspec.Struct, frozen=True):
    """What a status text says. None where it says nothing of it.

    Attributes:
        processed: items done.
        total: items in all.
        title: the item at hand.
        user_message: any other text, as it came.
    """

    processed: int | None = None
    total: int | None = None
    title: str | None = None
    user_message: str | None = None


def read(progress: float, status: str, total: int | None) -> Report:
    """Read a status text such as `"Enriching (5/10): Dune"`; any other text is for a person.

    Args:
        progress: the fraction done, from 0 to 1; what is beyond, or no number, counts as the nearest of them.
        status: the text.
        total: the job's own number of items, if it is known; the fraction is of it.
    """
    counted = _COUNTED.match(status)
    if counted is not None:
        done, of, title = counted.groups()
        return Report(min(int(done), int(of)), int(of), (title or "").strip() or None)
    fraction = min(max(progress, 0.0), 1.0) if progress == progress else 0.0  # noqa: PLR0124 - NaN is not itself
    return Report(None if total is None else int(fraction * total), None, None, status or None)
