"""Reports what threads do, from an event loop in a thread beside them."""

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, Unpack

from shelfwire.client.http import key_header
from shelfwire.client.http_client import NetworkHttpClient, checked_url
from shelfwire.client.reporting.attempt import Plan, ReportOptions, Retries, begin
from shelfwire.client.reporting.base import BaseReporter, Connection, delivering
from shelfwire.client.reporting.delivery import Delivery
from shelfwire.client.reporting.outbox import Outbox, done, failed
from shelfwire.clock import SystemClock
from shelfwire.errors import ShelfwireError

EXIT_SECONDS: Final = 5.0
"""How long the end of the interpreter waits for what is not durable yet."""


class Reporter(BaseReporter):
    """One attempt at a job, reported by any number of threads. Made by `BlockingClient.report`, or for a server.

    Use it as a context manager. Leaving completes the job; a `ShelfwireError` that is not retryable fails it, any other
    exception lets it be tried again, and `Stopped` confirms what the owner has asked for. Its connection begins on
    entering, so it belongs to the process that enters it, and not to one that is forked while it is open. If the
    interpreter ends before the block does, what was recorded is reported, for five seconds at most, and the job handed
    back.

    Args:
        make_loop: makes the event loop that sends the reports, and what ends it.
        connect: makes the connection; called on that loop.
        plan: what is to be reported.
    """

    def __init__(
        self,
        make_loop: Callable[[], tuple[asyncio.AbstractEventLoop, Callable[[], object]]],
        connect: Callable[[], Connection],
        plan: Plan,
    ) -> None:
        self._make_loop = make_loop
        self._connect = connect
        self._plan = plan
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        """Make the job or claim it. Errors as in `BlockingClient.report`."""
        check_no_loop()
        self._enter()
        self._loop, self._end_loop = self._make_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.run_coroutine_threadsafe(self._run(ready), self._loop)
        try:
            asyncio.run_coroutine_threadsafe(_wait_for(ready), self._loop).result()
        except BaseException:
            self._close()
            raise
        _open.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the attempt; returns once that is durable.

        Raises:
            AttemptLostError, RefusedError: the end could not be reported.
        """
        if os.getpid() != self._pid:  # a forked process leaves the block too; the job is its parent's
            return
        box = self._box
        self._finish(self._end_after(error), None)
        if error is None and box.error is not None:
            raise box.error

    def record(
        self,
        index: int,
        result: Any = None,
        *,
        title: str | None = None,
        author: str | None = None,
        isbn: str | None = None,
    ) -> bool:
        """Record an item as done, and return at once: it is durable some 50 milliseconds later, or after `flush`.

        Waits only while 5,000 items are not durable yet.

        Args:
            index: the item's place in the input, from 0.
            result: what came of it; anything that JSON can express in 256 KiB. An item whose result cannot be kept
                fails, and says why.
            title: a name for people.
            author: shown beside the title while it is the newest.
            isbn: likewise.

        Returns:
            False if an earlier attempt has recorded it: that outcome stands, and this one is dropped.

        Raises:
            ValueError: this attempt has recorded it already, or it is beyond the total.
            TypeError: a text is something else.
            Stopped: the owner wants the job canceled or paused.
            AttemptLostError: another worker has the job now, or it was erased.
            RefusedError: the server has refused a report.
        """
        added = self._box.add(index, done(result, title, author, isbn))
        self._wait(lambda: self._box.has_room)
        return added

    def fail(
        self, index: int, error: ShelfwireError | str, user_message: str | None = None, *, title: str | None = None
    ) -> bool:
        """Record an item as failed; the job goes on. Returns and raises as `record`.

        Args:
            index: the item's place in the input, from 0.
            error: what happened; or a code of your own, `E_` and 1 to 60 of A-Z, 0-9 and _.
            user_message: what happened and what to do next, for a person; needed with a code of your own.
            title: a name for people.
        """
        added = self._box.add(index, failed(error, user_message, title))
        self._wait(lambda: self._box.has_room)
        return added

    def flush(self) -> None:
        """Return once everything that was said is durable.

        Raises:
            Stopped, AttemptLostError, RefusedError: see `record`.
        """
        mark = self._box.mark()
        self._wait(lambda: self._box.is_durable(mark) or self._box.error is not None)
        self._box.check()

    def _wait(self, met: Callable[[], bool], seconds: float | None = None) -> None:
        if not met():
            with self._changed:
                self._changed.wait_for(met, seconds)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """Everything that happens on the event loop, from the beginning to the end."""
        over = self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            given = self._connect()
            retries = Retries(given.http, given.clock, given.random_fraction)
            attempt = self._attempt = await begin(retries, given.key, self._plan)
        except Exception as error:  # noqa: BLE001 - raised where the block begins
            ready.set_exception(error)
            return
        outbox = Outbox(
            attempt,
            self._plan.total,
            lambda urgent: loop.call_soon_threadsafe(lambda: delivery.wake(urgent=urgent)),
            self._notify,
        )
        delivery = Delivery(retries, attempt, outbox, self._plan.patience)
        delivery.wake()
        self._outbox = outbox
        async with delivering(given, retries, attempt, outbox, delivery, apart=False):
            ready.set_result(None)
            await over.wait()
        if given.own:
            await given.http.aclose()

    def _finish(self, end: Mapping[str, Any] | None, seconds: float | None) -> None:
        _open.discard(self)
        if end is not None:
            self._box.end(dict(end))
            self._wait(lambda: self._box.over or self._box.error is not None, seconds)
        self._left = True
        self._loop.call_soon_threadsafe(self._over.set)
        self._ended.result(EXIT_SECONDS)
        self._close()

    def _close(self) -> None:
        self._end_loop()

    def hand_back(self) -> None:
        """Report what was recorded, and let go of the job; called when the interpreter ends."""
        with contextlib.suppress(Exception):
            self._finish({"release": {}}, EXIT_SECONDS)


async def _wait_for(future: asyncio.Future[None]) -> None:
    await future


_open: Final[weakref.WeakSet[Reporter]] = weakref.WeakSet()


def _hand_all_back() -> None:
    for reporter in list(_open):
        reporter.hand_back()


atexit.register(_hand_all_back)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)


def check_no_loop() -> None:
    """Check that blocking is allowed here.

    Raises:
        RuntimeError: an event loop runs in this thread, which would stand still.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "A Reporter would block the event loop that runs in this thread. Use an AsyncReporter: "
        "`async with Client(…) as client, client.report(…) as job:`"
    )


def report(
    pipeline: str,
    *,
    url: str = "http://127.0.0.1:8787",
    api_key: str | None = None,
    **options: Unpack[ReportOptions],
) -> Reporter:
    """Report a job from a script, without a client, as in `with shelfwire.report("pdf_report", total=3) as job:`.

    Args:
        pipeline: the name of the kind of job.
        url: the server's.
        api_key: a key of the role `work`, on a server that requires one. A secret.
        options: see `ReportOptions`. Errors on entering are those of `Client.report`.

    Raises:
        ValueError: the URL cannot be a server's, or the key cannot be one.
    """
    address = checked_url(url).rstrip("/")
    key = key_header(api_key)

    def connect() -> Connection:
        return Connection(NetworkHttpClient(address), key, SystemClock(), None, own=True)

    return Reporter(_own_loop, connect, Plan(pipeline=pipeline, **options))


def _own_loop() -> tuple[asyncio.AbstractEventLoop, Callable[[], object]]:
    """Start an event loop in a thread that does not keep the interpreter alive; return it, and what ends it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="shelfwire-reporter", daemon=True)
    thread.start()

    def end() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    return loop, end
