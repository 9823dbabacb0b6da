"""The part of the port to the store that keeps what owners correct of items.

Corrections lie beside the log: they have no `seq`, nobody is told of them, and the items stay as they were recorded.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.operator_store import AuditEntry

MAX_CORRECTION_BYTES: Final = 1024 * 1024
"""Of all corrections of a job, as JSON."""

Corrections = Mapping[int, msgspec.Raw]
"""JSON by the index of the item that it corrects, ascending."""


class CorrectionStore(Protocol):
    """Keeps corrections, which are erased with their job."""

    async def corrections(self, job_id: str, *, first: int = 0, last: int | None = None) -> Corrections:
        """Return what is corrected of the items from `first` to `last`; to the end where that is None."""
        ...

    async def correct(
        self,
        job_id: str,
        corrections: Mapping[int, msgspec.Raw | None],
        *,
        whole: bool,
        limit: int,
        audit: AuditEntry | None = None,
    ) -> bool:
        """Keep corrections in place of those of the same items.

        Args:
            job_id: the job.
            corrections: JSON by index; None takes those of the item back.
            whole: whether those of all other items are taken back as well.
            limit: the most bytes that a job may have.
            audit: is added to the audit with it.

        Returns:
            False where there is no such job.

        Raises:
            ShelfwireError: `E_FILE_TOO_LARGE`: there would be more than `limit`. Nothing was changed.
        """
        ...


def check_size(job_id: str, size: int, limit: int) -> None:
    """Check the size of all corrections of a job.

    Raises:
        ShelfwireError: `E_FILE_TOO_LARGE`.
    """
    if size > limit:
        raise ShelfwireError(
            Code.FILE_TOO_LARGE,
            f"Job {job_id} would have {size:,} bytes of corrections, and {limit:,} are kept",
            user_message="There are too many corrections. Download what there is, and go on in a file.",
            details={"limit": limit},
        )
