"""What an attempt outside of the server reads and keeps, by its report token."""

from collections.abc import Sequence
from typing import Final

from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.page_size import MAX_PAGE_BYTES
from shelfwire.jobs.store import InputSize, Item, JobStore
from shelfwire.protocol import tokens
from shelfwire.protocol.tokens import Grant, Scope

MAX_KEPT_OF_JOB: Final = 100 * 1024 * 1024
"""The most bytes that the attempts of a job keep together."""


class AttemptFiles:
    """Access to the inputs, the kept data and the log of a job, for whoever has shown a report token of it.

    Args:
        store: where jobs are kept.
        clock: source of the time.
    """

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def authorize(self, job_id: str, token: str | None) -> Grant:
        """Return the grant of a report token; raise where it is not one of this job.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED` or `E_FORBIDDEN`.
        """
        if not token:
            raise ShelfwireError(Code.UNAUTHORIZED)
        now = self._clock.now()
        return tokens.check(await self._store.grant(tokens.digest(token), now), token, job_id, Scope.REPORT, now=now)

    async def inputs(self, grant: Grant) -> Sequence[InputSize]:
        """Return the inputs of the job."""
        return await self._store.inputs(grant.job_id)

    async def read_input(self, grant: Grant, name: str) -> bytes:
        """Return the whole of an input.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: there is none of this name.
        """
        if name not in {one.name for one in await self._store.inputs(grant.job_id)}:
            raise ShelfwireError(Code.NOT_FOUND, "The job has no input of this name")
        return await self._store.read_input(grant.job_id, name)

    async def kept(self, grant: Grant, name: str) -> bytes:
        """Return what was kept under a name.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: nothing was.
        """
        data = await self._store.kept(grant.job_id, name)
        if data is None:
            raise ShelfwireError(Code.NOT_FOUND, "Nothing is kept under this name")
        return data

    async def keep(self, grant: Grant, name: str, data: bytes) -> None:
        """Keep data that a later attempt must not fetch again; see `JobStore.keep`.

        Raises:
            ShelfwireError: `E_LEASE_LOST`, `E_FILE_TOO_LARGE`.
        """
        assert grant.attempt is not None  # noqa: S101 - a report token has one
        if not await self._store.keep(grant.job_id, grant.attempt, name, data, limit=MAX_KEPT_OF_JOB):
            raise ShelfwireError(Code.LEASE_LOST)

    async def log(self, grant: Grant, *, after: int, limit: int) -> tuple[list[Item], int]:
        """Return up to `limit` items of the log with an index above `after`, and how many it has in all.

        They are at most `MAX_PAGE_BYTES` or one item.
        """
        found = await self._store.job(grant.job_id)
        if found is None:
            raise ShelfwireError(Code.UNAUTHORIZED)
        return await self._store.items(
            grant.job_id, after=after, limit=limit, within=MAX_PAGE_BYTES
        ), found.state.recorded
