"""Runs a command's coroutine: on the fastest loop there is, with signals that end it in good order."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_blocked: Final = set[threading.Thread]()
"""Those that write to a standard output that takes nothing at present."""
SHOW_CURSOR: Final = "\x1b[?25h\n"


class Interrupted(Exception):  # noqa: N818 - nothing is wrong: somebody asked for it
    """A signal ended the command, which has shut down in good order.

    Attributes:
        exit_code: 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. The first SIGINT or SIGTERM cancels it, the second ends the process on the spot.

    Raises:
        Interrupted: a signal came, and `work` has ended.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_interruptible(work))
    except Interrupted as interrupted:
        if _blocked:  # the interpreter would wait for them
            os._exit(interrupted.exit_code)
        raise


async def written(write: Callable[[], object]) -> None:
    """Let something be written to the standard output, and return once it was; raise what it raises.

    It may take as long as nobody reads, as with `less`. Meanwhile the event loop goes on: the server that runs on it
    may serve other commands too. A thread of the loop's own pool would have to be waited for after a signal.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error = None
        try:
            write()
        except BaseException as raised:  # noqa: BLE001 - raised where it is waited for
            error = raised
        _blocked.discard(thread)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the command was interrupted
            loop.call_soon_threadsafe(settle, error)

    thread = threading.Thread(target=work, daemon=True)
    _blocked.add(thread)
    thread.start()
    await done


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    caught: list[int] = []

    def interrupt(number: int) -> None:
        if caught:
            _force(number)
        caught.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await task
    except asyncio.CancelledError:
        if caught:
            raise Interrupted(caught[0]) from None
        raise


def _force(number: int) -> None:
    if sys.stdout.isatty() and not _blocked:
        sys.stdout.write(SHOW_CURSOR)
        sys.stdout.flush()
    os._exit(128 + number)
