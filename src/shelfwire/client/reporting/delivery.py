"""Sends the reports of an attempt, one after the other, each until it is answered."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from shelfwire.client.errors import ConnectionLostError, RefusedError, read
from shelfwire.client.reporting.attempt import Attempt, AttemptLostError, Retries
from shelfwire.errors import Code
from shelfwire.protocol.reports import ReportAnswer

TICK_SECONDS: Final = 0.05
"""From one report to the next."""
MAX_BYTES: Final = 900_000
"""Of the items of a report, which may have 1 MiB."""

_encode: Final = msgspec.json.Encoder().encode


class Batch(NamedTuple):
    """What one report says.

    Attributes:
        content: the members of the report but its number; not empty.
        items: how many items it has.
        ends: whether it ends the attempt.
    """

    content: Mapping[str, Any]
    items: int = 0
    ends: bool = False


class Source(Protocol):
    """What there is to report of an attempt."""

    def take(self) -> Batch | None:
        """Take what is to be reported next; None if there is nothing."""
        ...

    def confirm(self, batch: Batch, answer: ReportAnswer) -> None:
        """Learn that it is durable."""
        ...


class Delivery:
    """Reports what a source has, at most every 50 milliseconds, until the attempt is over.

    Args:
        retries: sends requests.
        attempt: the attempt.
        source: what there is to report.
        patience: seconds for which a report is sent again while the server is away. Nobody can take the job meanwhile,
            so it is worth coming back.

    Attributes:
        renewed_at: the monotonic time at which the last report was sent that was answered.
    """

    def __init__(self, retries: Retries, attempt: Attempt, source: Source, patience: float) -> None:
        self._retries = retries
        self._attempt = attempt
        self._source = source
        self._patience = patience
        self._number = 0
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self.renewed_at = retries.clock.monotonic()

    def wake(self, *, urgent: bool = False) -> None:
        """There is something to report; `urgent` does not wait for the tick."""
        self._news.set()
        if urgent:
            self._urgent.set()

    async def run(self) -> ReportAnswer:
        """Report until the attempt has ended by a report, and return the answer to that one.

        Raises:
            AttemptLostError: the attempt does not hold the job any more.
            RefusedError: the server refuses a report.
        """
        clock, last = self._retries.clock, -math.inf
        while True:
            await self._news.wait()
            due = last + TICK_SECONDS - clock.monotonic()
            if due > 0:
                await clock.wait(self._urgent, due)
            self._news.clear()
            self._urgent.clear()
            last = clock.monotonic()
            while (batch := self._source.take()) is not None:
                answer = await self.send(batch.content)
                self._source.confirm(batch, answer)
                if batch.ends:
                    return answer

    async def send(self, content: Mapping[str, Any]) -> ReportAnswer:
        """Send a report until it is answered, with the same bytes each time: the server knows it by its number.

        Raises:
            AttemptLostError, RefusedError: see `run`; a refused report changes nothing.
        """
        body = _encode({"number": self._number + 1, **content})
        request = self._attempt.request("POST", "/report", content=body)
        try:
            response, sent = await self._retries.answered(request, self._patience)
            answer = read(response, ReportAnswer)
        except ConnectionLostError as error:
            raise AttemptLostError(f"The server was away for {self._patience:.0f} seconds: {error.message}") from error
        except RefusedError as error:
            raise lost(error) or error from None
        self._number += 1
        self.renewed_at = sent
        return answer


def lost(error: RefusedError) -> AttemptLostError | None:
    """Return what it means for the attempt that a report was refused; None if it still has the job."""
    if error.code not in {Code.LEASE_LOST, Code.UNAUTHORIZED}:
        return None
    return AttemptLostError(error.message)
