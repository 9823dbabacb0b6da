"""The same client for code without an event loop: it runs on one in a thread of its own.

A plug-in that extends `Client` has its blocking client in a few lines:

    class BlockingMyClient(BlockingClient[MyClient]):
        client_class = MyClient
        frobnicate = blocking(MyClient.frobnicate)
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, Unpack

from anyio.from_thread import BlockingPortal
from typing_extensions import TypeVar

from shelfwire.client.client import Client
from shelfwire.client.following import Following
from shelfwire.client.handle import JobHandle
from shelfwire.client.reporting.attempt import Plan, ReportOptions
from shelfwire.client.reporting.reporter import Reporter
from shelfwire.protocol.messages import Message
from shelfwire.protocol.reconnect import Transport

P = ParamSpec("P")
T = TypeVar("T")
Inner = TypeVar("Inner")
Inner_co = TypeVar("Inner_co", covariant=True)
C_co = TypeVar("C_co", bound=Client, default=Client, covariant=True)
_END: Final = object()


class _Face(Generic[Inner_co]):
    """The blocking face of an object that lives on the event loop."""

    _inner: Inner_co

    @property
    def _portal(self) -> BlockingPortal:
        """The portal to the event loop."""
        raise NotImplementedError


def blocking(
    method: Callable[Concatenate[Inner, P], Awaitable[T]],
) -> Callable[Concatenate[_Face[Inner], P], T]:
    """Make a method of a blocking client from a coroutine method of the client it wraps."""

    @wraps(method)
    def call(face: _Face[Inner], /, *args: P.args, **options: P.kwargs) -> T:
        return face._portal.call(partial(method, face._inner, *args, **options))  # noqa: SLF001 - the same class

    return call


def _notifying(method: Callable[[Inner], None]) -> Callable[[_Face[Inner]], None]:
    @wraps(method)
    def call(face: _Face[Inner], /) -> None:
        face._portal.call(method, face._inner)  # noqa: SLF001 - the same class

    return call


def blocking_iterator(
    method: Callable[Concatenate[Inner, P], AsyncGenerator[T]],
) -> Callable[Concatenate[_Face[Inner], P], Iterator[T]]:
    """Make a method of a blocking client from an asynchronous generator of the client it wraps."""

    @wraps(method)
    def call(face: _Face[Inner], /, *args: P.args, **options: P.kwargs) -> Iterator[T]:
        items = method(face._inner, *args, **options)  # noqa: SLF001 - the same class
        try:
            yield from _each(items, face._portal)  # noqa: SLF001 - the same class
        finally:
            with suppress(RuntimeError):  # the client is closed already
                face._portal.call(items.aclose)  # noqa: SLF001 - the same class

    return call


def _each(items: AsyncIterator[T], portal: BlockingPortal) -> Iterator[T]:
    while (item := portal.call(_next, items)) is not _END:
        yield item


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


def _built_like(_: Callable[P, Client]) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    return lambda method: method


def _start_portal(stack: ExitStack) -> BlockingPortal:
    """Start an event loop in a thread of its own, which ends with the stack.

    `anyio.from_thread.start_blocking_portal` does the same as a generator, which the end of the interpreter and of a
    forked process finalize: it then waits for a thread that runs no more.
    """
    ready: Future[BlockingPortal] = Future()

    async def run() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    def live() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - whoever called what raised it has it, too
            if not ready.done():
                ready.set_exception(error)

    thread = threading.Thread(target=live, name="shelfwire-client", daemon=True)
    thread.start()
    stack.callback(thread.join)
    portal = ready.result()

    def stop(kind: type[BaseException] | None, *_: object) -> None:
        with suppress(RuntimeError):  # it has stopped already
            portal.call(portal.stop, kind is not None)

    stack.push(stop)
    return portal


class BlockingFollowing(_Face[Following], Iterator[Message]):
    """`Following` for scripts: iterate over it for the job's messages, once. Other threads may call its methods."""

    def __init__(self, inner: Following, client: "BlockingClient[Any]") -> None:
        self._inner = inner
        self._client = client
        self._each = _each(inner, client._portal)  # noqa: SLF001 - the same class

    @property
    def _portal(self) -> BlockingPortal:
        return self._client._portal  # noqa: SLF001 - the same class

    @property
    def job(self) -> JobHandle:
        """See `Following.job`."""
        return self._inner.job

    @property
    def transport(self) -> Transport | None:
        """See `Following.transport`."""
        return self._inner.transport

    def __next__(self) -> Message:
        """Return the next message. Errors as in `Following`."""
        _ = self._portal  # raises if the client is closed
        return next(self._each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """See `Following.aclose`; a closed client has closed this too."""
        if self._client.is_open:
            self._portal.call(self._inner.aclose)

    ping = blocking(Following.ping)
    network_lost = _notifying(Following.network_lost)
    network_restored = _notifying(Following.network_restored)
    cancel_reconnection = _notifying(Following.cancel_reconnection)


class BlockingClient(_Face[C_co]):
    """`Client`, method for method, for scripts. Use it as a context manager.

    An application that has one for its whole life may leave it open: it holds up neither the end of the interpreter
    nor that of a forked process, which cannot use it. `close` closes one that was entered without a `with` block.

    Callbacks are called in the client's own thread and must not call the client.

    Attributes:
        client_class: the client that it wraps; subclasses for plug-ins set another one.
    """

    client_class: type[C_co] = Client  # type: ignore[assignment] # the default of the type variable

    @_built_like(Client)
    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the arguments of `Client`."""
        self._inner = self.client_class(*args, **options)
        self._stack = ExitStack()
        self._opened: BlockingPortal | None = None
        self._entered = False
        self._pid = 0

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError("A client is used in one `with` block. Make another one for the next")
        self._entered = True
        with ExitStack() as stack:
            portal = _start_portal(stack)
            stack.callback(portal.call, self._inner.aclose)
            self._stack, self._opened, self._pid = stack.pop_all(), portal, os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = None
        if os.getpid() == self._pid:  # a forked process leaves the block too; the connections are its parent's
            self._stack.__exit__(kind, error, trace)

    def close(self) -> None:
        """Leave the `with` block: close the connections, and end the thread. Once more does nothing."""
        self.__exit__(None, None, None)

    @property
    def is_open(self) -> bool:
        """Whether it can be used: from the beginning of its `with` block to its end."""
        return self._opened is not None

    @property
    def _portal(self) -> BlockingPortal:
        if self._opened is None:
            raise RuntimeError("The client is closed. Use it inside `with BlockingClient(…) as client:`")
        if os.getpid() != self._pid:
            raise RuntimeError("The client was opened in another process. Open one in this process, after the fork")
        return self._opened

    def follow(
        self,
        job: JobHandle,
        on_wait: Callable[[float], None] = lambda _: None,
        *,
        on_token: Callable[[JobHandle], object] = lambda _: None,
    ) -> BlockingFollowing:
        """See `Client.follow`."""
        follow = partial(self._inner.follow, job, on_wait, on_token=on_token)
        return BlockingFollowing(self._portal.call(follow), self)

    def report(self, pipeline: str, **options: Unpack[ReportOptions]) -> Reporter:
        """Report a job that is worked on here: `with client.report("pdf_report", total=3) as job:`.

        See `Client.report`. Any number of threads may use the reporter.

        Raises:
            RuntimeError: on entering: an event loop runs in this thread; use `Client.report`.
        """
        plan = Plan(pipeline=pipeline, **options)
        return Reporter(lambda: (self._portal.call(asyncio.get_running_loop), bool), self._inner._reporting, plan)  # noqa: SLF001 - the same package

    create = blocking(Client.create)
    start = blocking(Client.start)
    state = blocking(Client.state)
    pause = blocking(Client.pause)
    resume = blocking(Client.resume)
    cancel = blocking(Client.cancel)
    retry = blocking(Client.retry)
    delete = blocking(Client.delete)
    results = blocking_iterator(Client.results)
    corrections = blocking(Client.corrections)
    correct = blocking(Client.correct)
    export = blocking_iterator(Client.export)
    new_token = blocking(Client.new_token)
    rotate = blocking(Client.rotate)
    revoke = blocking(Client.revoke)
