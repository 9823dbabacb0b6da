"""What both reporters have in common."""

import asyncio
import contextlib
import os
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.client.errors import RefusedError
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import HttpClient
from shelfwire.client.reporting.attempt import Attempt, AttemptLostError, Retries, Stopped
from shelfwire.client.reporting.delivery import Delivery
from shelfwire.client.reporting.heartbeat import HeartbeatThread, keep_alive
from shelfwire.client.reporting.outbox import Outbox, failure
from shelfwire.clock import Clock, uniform
from shelfwire.errors import ShelfwireError
from shelfwire.protocol.messages import Metadata, clip
from shelfwire.protocol.reports import RESERVED_CODES

BREAK_OFF_SECONDS: Final = 3.0
"""How long leaving a block waits for a server that has just refused a report."""


class Connection(NamedTuple):
    """What a reporter is given by its client.

    Attributes:
        http: the way to the server.
        key: the header that carries the API key.
        clock: the source of the time.
        heartbeat: renews leases from a thread; None where there is no network.
        random_fraction: returns fractions in [0, 1), which shorten pauses.
        own: whether it is the reporter's alone, to be closed with it.
    """

    http: HttpClient
    key: Mapping[str, str]
    clock: Clock
    heartbeat: HeartbeatThread | None
    random_fraction: Callable[[], float] = uniform
    own: bool = False

    def __repr__(self) -> str:
        return "Connection(…)"  # it holds the key


class _Worker:
    """The attempt as the renewals of its lease see it."""

    def __init__(self, delivery: Delivery, outbox: Outbox) -> None:
        self._delivery = delivery
        self._outbox = outbox

    @property
    def renewed_at(self) -> float:
        return self._delivery.renewed_at

    def hear(self, stop: str | None) -> None:
        self._outbox.hear(stop)

    def lose(self, error: AttemptLostError) -> None:
        self._outbox.lose(error)


class BaseReporter:
    """What both reporters have in common: what can be said without waiting.

    Attributes:
        attempt: which attempt at the job this is, from 1.
    """

    _pid = 0
    _left = False
    _attempt: Attempt | None = None
    _outbox: Outbox | None = None
    _ending: Mapping[str, Any] | None = None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._held.id

    @property
    def handle(self) -> JobHandle | None:
        """The owner's id and token, for whoever follows the job; None if the job was there before."""
        return self._held.handle

    @property
    def attempt(self) -> int:
        """Which attempt at the job this is, from 1."""
        return self._held.attempt

    @property
    def _held(self) -> Attempt:
        if self._attempt is None:
            raise RuntimeError("The job is not there yet. Use the reporter in a `with` block")
        return self._attempt

    def _enter(self) -> None:
        if self._attempt is not None:
            raise RuntimeError("A reporter is for one block. Make another one")
        self._pid = os.getpid()

    @property
    def _box(self) -> Outbox:
        if self._outbox is None:
            raise RuntimeError("Nothing can be reported yet. Use the reporter in a `with` block")
        if os.getpid() != self._pid:
            raise RuntimeError("The reporter was opened in another process. Open one in this process, after the fork")
        if self._left:
            raise RuntimeError("The reporter's block has been left: the attempt is over. Report within the block")
        return self._outbox

    def is_recorded(self, index: int) -> bool:
        """Whether an item need not be done any more: this attempt or an earlier one has recorded it."""
        return self._box.is_recorded(index)

    def progress(
        self,
        fraction: float | None = None,
        *,
        processed: int | None = None,
        title: str | None = None,
        message: str | None = None,
    ) -> None:
        """Say how far work without items is, or what is under way. Followers see whole per cents; it never falls.

        Args:
            fraction: the part that is done, from 0 to 1.
            processed: how much of the total is done, instead of a fraction.
            title: what is being worked on.
            message: a message for the user.

        Raises:
            ValueError: the fraction is beyond 0 to 1, the number is negative, or both are given.
            Stopped, AttemptLostError, RefusedError: see `record`.
        """
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"A fraction is from 0 to 1, not {fraction!r}")
        if processed is not None and (fraction is not None or processed < 0):
            raise ValueError("Give either a fraction, or a number from 0")
        texts = {"currentTitle": title, "userMessage": message}
        clipped = {name: None if text is None else clip(text) for name, text in texts.items()}
        self._box.say(fraction=fraction, processedCount=processed, **clipped)

    def start(self, total: int, metadata: Metadata | None = None) -> None:
        """Say how many items there are, where that was not known when the job was made; the number may grow.

        Raises:
            Stopped, AttemptLostError, RefusedError: see `record`.
        """
        self._box.say(totalCount=total, metadata=metadata)

    def update_progress(self, progress: float, status: str, keep_alive: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the signature of deployed callers
        """Report progress by a text such as `"Enriching (5/10): Dune"`. For callers from before jobs had item logs.

        .. deprecated:: 0.1
            Use `record` for each item, or `progress`.
        """
        warnings.warn(
            "update_progress is deprecated: call record for each item, or progress", DeprecationWarning, stacklevel=2
        )
        self._box.say(legacy={"progress": progress, "status": clip(status)})

    def complete(self, summary: str = "", *, results: Any = None) -> None:
        """Decide what leaving the block says, if no exception leaves it.

        Args:
            summary: a sentence for the user about the outcome.
            results: anything as JSON, which the ending shows in place of the list of items; None for that list.
        """
        given = {} if results is None else {"results": msgspec.Raw(msgspec.json.encode(results))}
        self._ending = {"complete": {"summary": clip(summary), **given}}

    def fail_job(self, error: ShelfwireError | str, user_message: str | None = None) -> None:
        """Decide that leaving the block ends the job with an error: it cannot be done, and nobody tries again.

        Args:
            error: what happened; or a code of your own, `E_` and 1 to 60 of A-Z, 0-9 and _.
            user_message: what happened and what to do next, for a person; needed with a code of your own.

        Raises:
            ValueError: the text for a person is missing, or the code is none, or one that only the server gives.
        """
        self._ending = {"fail": failure(error, user_message)}

    def _end_after(self, error: BaseException | None) -> Mapping[str, Any] | None:
        """How the attempt ends; None if there is nobody to say it to."""
        if isinstance(error, AttemptLostError) or self._box.error is not None:
            return None
        if error is None:
            return self._ending or {"complete": {}}
        if isinstance(error, ShelfwireError) and not error.retryable and error.code not in RESERVED_CODES:
            return {"fail": failure(error, None)}
        if isinstance(error, Exception) and not isinstance(error, Stopped):
            return {"retry": {"message": clip("".join(traceback.format_exception_only(error)).strip())}}
        return {"release": {}}


@asynccontextmanager
async def delivering(
    connection: Connection, retries: Retries, attempt: Attempt, outbox: Outbox, delivery: Delivery, *, apart: bool
) -> AsyncIterator[asyncio.Task[object]]:
    """Send reports and renew the lease meanwhile; `apart` from a loop on which the work is."""
    worker = _Worker(delivery, outbox)
    sending = asyncio.create_task(_send(delivery, outbox))
    beside: list[asyncio.Task[None]] = []
    heartbeat = connection.heartbeat if apart else None
    if heartbeat is not None:
        beside.append(asyncio.create_task(heartbeat.watch()))
        heartbeat.add(attempt, worker)
    else:
        beside.append(asyncio.create_task(keep_alive(retries.http, retries.clock, attempt, worker)))
    try:
        yield sending
    finally:
        if heartbeat is not None:
            heartbeat.remove(attempt)
        for task in (sending, *beside):
            task.cancel()
        await asyncio.gather(sending, *beside, return_exceptions=True)
        if isinstance(outbox.error, RefusedError):
            await _break_off(delivery, outbox.error)


async def _break_off(delivery: Delivery, refused: RefusedError) -> None:
    """Let the job be tried again after a report that was refused, since the attempt still holds it."""
    with contextlib.suppress(RefusedError, AttemptLostError, TimeoutError):  # its lease will end all the same
        async with asyncio.timeout(BREAK_OFF_SECONDS):
            await delivery.send({"end": {"retry": {"message": clip(str(refused))}}})


async def _send(delivery: Delivery, outbox: Outbox) -> None:
    try:
        await delivery.run()
    except Exception as error:  # noqa: BLE001 - raised where the work next says something
        outbox.lose(error)
