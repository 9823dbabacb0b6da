"""Makes the deliveries of a store when they are due, several at once, until each has succeeded or is given up."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shelfwire.clock import Clock, uniform
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.outbox import Delivery, DeliveryStatus, Outbox, Outcome, Room, after_try
from shelfwire.jobs.telemetry import Telemetry
from shelfwire.protocol.job import JobState, decode_row

MAX_AT_ONCE: Final = 20
MAX_PER_HOST: Final = 4
HOLD: Final = 90_000
"""Milliseconds for which a delivery is held: longer than any try takes."""
POLL_SECONDS: Final = 1.0
"""How often to look for what is due. An ending is looked for at once."""
OWN_SECONDS: Final = 60.0
"""For how long the application may take to hear of one ending."""

Send = Callable[[Delivery], Awaitable[Outcome]]
"""Makes one try of a webhook. It raises nothing."""
OnEnd = Callable[[JobState], Awaitable[object]]
"""What an application does when a job has ended, given its final row. It may be called more than once for one job.

An exception has it called again later, on the schedule of webhooks. It has `OWN_SECONDS`.
"""

log = structlog.get_logger(__name__)


class Deliverer:
    """Makes deliveries; see `run`.

    Args:
        outbox: where they are kept.
        send: tries a webhook.
        on_end: hears of endings in the application itself; None where nobody does.
        clock: source of the time.
        telemetry: is notified of each try of a webhook.
        uniform: a random number in [0, 1), to spread tries.
    """

    def __init__(
        self,
        outbox: Outbox,
        send: Send,
        on_end: OnEnd | None,
        clock: Clock,
        telemetry: Telemetry,
        uniform: Callable[[], float] = uniform,
    ) -> None:
        self._outbox = outbox
        self._send = send
        self._on_end = on_end
        self._clock = clock
        self._telemetry = telemetry
        self._uniform = uniform
        self._news = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], str] = {}

    def wake(self) -> None:
        """Look at once: a job has ended, or a try has."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled; tries that are under way are cancelled then, too, and made again later."""
        try:
            while True:
                self._news.clear()
                try:
                    await self.look()
                except ShelfwireError as error:
                    log.warning("what is to be delivered cannot be read", code=error.code, reason=error.message)
                await self._clock.wait(self._news, POLL_SECONDS)
        finally:
            tasks = list(self._under_way)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Begin what is due, as much as there is room for."""
        room = Room(total=MAX_AT_ONCE, each=MAX_PER_HOST, under_way=Counter(self._under_way.values()))
        if not room.free:
            return
        now = self._clock.now()
        for delivery in await self._outbox.take(room, now, now + HOLD):
            task = asyncio.create_task(self._try(delivery))
            self._under_way[task] = delivery.host
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            trace = "".join(traceback.format_exception(error))
            log.error("a delivery broke off; it is made again", exception=trace)

    async def _try(self, delivery: Delivery) -> None:
        began = self._clock.monotonic()
        if delivery.url is None:
            outcome = await self._tell_application(delivery)
        else:
            outcome = await self._send(delivery)
        after = after_try(delivery, outcome, now=self._clock.now(), chance=self._uniform())
        if delivery.url is not None:
            self._telemetry.delivered(_result(after), self._clock.monotonic() - began)
        tried = {"delivery": delivery.id, "host": delivery.host, "tries": after.tries}
        if after.status is DeliveryStatus.GIVEN_UP:
            log.error("a delivery was given up", **tried, reason=after.last_error)
        elif after.status is DeliveryStatus.WAITING:
            log.warning("a delivery failed and is tried again", **tried, reason=after.last_error, due_at=after.due_at)
        else:
            log.info("delivered", **tried)
        try:
            await self._outbox.settle(after)
        except ShelfwireError as error:
            # It is held for a while yet, and then made once more.
            log.warning("a delivery cannot be noted", **tried, code=error.code, reason=error.message)

    async def _tell_application(self, delivery: Delivery) -> Outcome:
        if self._on_end is None:
            return Outcome(error="The application has no on_end any more")
        try:
            async with asyncio.timeout(OWN_SECONDS):
                await self._on_end(decode_row(delivery.body))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is called again
            log.warning("on_end failed", job=delivery.job_id, exception="".join(traceback.format_exception(error)))
            return Outcome(error=repr(error))
        return Outcome()


def _result(after: Delivery) -> str:
    return {DeliveryStatus.DONE: "ok", DeliveryStatus.WAITING: "failed", DeliveryStatus.GIVEN_UP: "given_up"}[
        after.status
    ]
