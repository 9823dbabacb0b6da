"""Reporters: what work that is no pipeline says of its job, from coroutines or from threads."""

import asyncio
import atexit
import contextlib
import os
import threading
import traceback
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, Unpack

import msgspec

from shelfwire.client.handle import JobHandle
from shelfwire.client.http import HttpClient, key_header
from shelfwire.client.http_client import NetworkHttpClient, checked_url
from shelfwire.client.reporting.attempt import Attempt, AttemptLostError, Plan, ReportOptions, Retries, Stopped, begin
from shelfwire.client.reporting.delivery import Delivery
from shelfwire.client.reporting.heartbeat import HeartbeatThread, keep_alive
from shelfwire.client.reporting.outbox import Outbox, done, failed, failure
from shelfwire.clock import Clock, SystemClock, uniform
from shelfwire.errors import ShelfwireError
from shelfwire.protocol.messages import Metadata, clip
from shelfwire.protocol.reports import RESERVED_CODES

EXIT_SECONDS: Final = 5.0
"""How long the end of the interpreter waits for what is not durable yet."""


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


class _Report:
    """What both reporters have in common: what can be said without waiting.

    Attributes:
        attempt: which attempt at the job this is, from 1.
    """

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

    @property
    def _box(self) -> Outbox:
        if self._outbox is None:
            raise RuntimeError("Nothing can be reported yet. Use the reporter in a `with` block")
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
            ValueError: the text for a person is missing, or only the server gives that code.
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
async def _delivering(
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


async def _send(delivery: Delivery, outbox: Outbox) -> None:
    try:
        await delivery.run()
    except Exception as error:  # noqa: BLE001 - raised where the work next says something
        outbox.lose(error)


class AsyncReporter(_Report):
    """One attempt at a job, reported by coroutines. Made by `Client.report`.

    Use it as an asynchronous context manager. Leaving completes the job; a `ShelfwireError` that is not retryable fails
    it, any other exception lets it be tried again, and `Stopped` confirms what the owner has asked for.

    Args:
        connection: what its client gives it.
        plan: what is to be reported.
    """

    def __init__(self, connection: Connection, plan: Plan) -> None:
        self._connection = connection
        self._plan = plan
        self._changed = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Make the job or claim it. Errors as in `Client.report`."""
        given = self._connection
        retries = Retries(given.http, given.clock, given.random_fraction)
        attempt = self._attempt = await begin(retries, given.key, self._plan)
        loop = asyncio.get_running_loop()
        outbox = Outbox(
            attempt,
            self._plan.total,
            lambda urgent: delivery.wake(urgent=urgent),
            lambda: loop.call_soon_threadsafe(self._changed.set),
        )
        delivery = Delivery(retries, attempt, outbox, self._plan.patience)
        delivery.wake()
        self._outbox = outbox
        self._sending = await self._stack.enter_async_context(
            _delivering(given, retries, attempt, outbox, delivery, apart=True)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the attempt; returns once that is durable.

        Raises:
            AttemptLostError, RefusedError: the end could not be reported.
        """
        async with self._stack:
            end = self._end_after(error)
            if end is not None:
                self._box.end(dict(end))
                await self._sending
        if error is None and self._box.error is not None:
            raise self._box.error

    async def record(
        self,
        index: int,
        result: Any = None,
        *,
        title: str | None = None,
        author: str | None = None,
        isbn: str | None = None,
    ) -> bool:
        """Record an item as done; see `Reporter.record`."""
        added = self._box.add(index, done(result, title, author, isbn))
        await self._wait(lambda: self._box.has_room)
        return added

    async def fail(
        self, index: int, error: ShelfwireError | str, user_message: str | None = None, *, title: str | None = None
    ) -> bool:
        """Record an item as failed; see `Reporter.fail`."""
        added = self._box.add(index, failed(error, user_message, title))
        await self._wait(lambda: self._box.has_room)
        return added

    async def flush(self) -> None:
        """Return once everything that was said is durable; see `Reporter.flush`."""
        mark = self._box.mark()
        await self._wait(lambda: self._box.is_durable(mark) or self._box.error is not None)
        self._box.check()

    async def _wait(self, met: Callable[[], bool]) -> None:
        while not met():
            self._changed.clear()
            await self._changed.wait()


class Reporter(_Report):
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
        self._pid = 0
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        """Make the job or claim it. Errors as in `BlockingClient.report`."""
        check_no_loop()
        self._pid = os.getpid()
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
        self._finish(self._end_after(error), None)
        if error is None and self._box.error is not None:
            raise self._box.error

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
        added = self._mine.add(index, done(result, title, author, isbn))
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
        added = self._mine.add(index, failed(error, user_message, title))
        self._wait(lambda: self._box.has_room)
        return added

    def flush(self) -> None:
        """Return once everything that was said is durable.

        Raises:
            Stopped, AttemptLostError, RefusedError: see `record`.
        """
        mark = self._mine.mark()
        self._wait(lambda: self._box.is_durable(mark) or self._box.error is not None)
        self._box.check()

    @property
    def _mine(self) -> Outbox:
        if self._pid and os.getpid() != self._pid:
            raise RuntimeError("The reporter was opened in another process. Open one in this process, after the fork")
        return self._box

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
        async with _delivering(given, retries, attempt, outbox, delivery, apart=False):
            ready.set_result(None)
            await over.wait()
        if given.own:
            await given.http.aclose()

    def _finish(self, end: Mapping[str, Any] | None, seconds: float | None) -> None:
        _open.discard(self)
        if end is not None:
            self._box.end(dict(end))
            self._wait(lambda: self._box.over or self._box.error is not None, seconds)
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
