"""Waiting for a store that cannot be used now."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from shelfwire.clock import Clock, sleep
from shelfwire.errors import Code, ShelfwireError

T = TypeVar("T")
RETRY_SECONDS: Final = 1.0
"""Pause before what failed is tried again."""

log = structlog.get_logger(__name__)


async def when_available(clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """Call the store, again and again until it can be used, and return its answer.

    It is no fault of a job that a disk is full, so its attempt waits and loses nothing. Whoever stops waiting cancels.

    Args:
        clock: the time.
        call: calls the store. It must do no harm when it is repeated although its first answer was only lost.

    Raises:
        ShelfwireError: the store refuses the call for good.
    """
    failing = False
    while True:
        try:
            answer = await call()
        except ShelfwireError as error:
            if error.code != Code.STORAGE_UNAVAILABLE:
                raise
            # Only the first is an error, which quiet terminals show too; the others repeat it.
            report = log.warning if failing else log.error
            report("the store cannot be used, trying again", code=error.code, reason=error.message)
            failing = True
        else:
            return answer
        await sleep(clock, RETRY_SECONDS)
