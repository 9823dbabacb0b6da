"""How large a page of a job's items may be: a thousand items of the greatest size would be 256 MiB."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from shelfwire.jobs.outcomes import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from shelfwire.jobs.store import Item

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of the bodies of a page, together: fewer items than were asked for, but one at least."""


def fitting(sizes: Iterable[int], within: int) -> int:
    """Return how many items there are up to `within` bytes, one at least.

    Args:
        sizes: the bytes of each body; no more of them are asked for than needed.
        within: the limit.
    """
    count = used = 0
    for size in sizes:
        used += size
        if count and used > within:
            break
        count += 1
    return max(1, count)


def may_be_cut(items: "Sequence[Item]") -> bool:
    """Whether one more item may have been left out of a page because of `MAX_PAGE_BYTES`."""
    return sum(len(item.body) for item in items) > MAX_PAGE_BYTES - MAX_ITEM_BYTES
