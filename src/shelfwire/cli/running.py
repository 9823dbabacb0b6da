"""Runs a command's coroutine: on the fastest loop there is, with signals that end it in good order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_interruptible(work))


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
    if sys.stdout.isatty():
        sys.stdout.write(SHOW_CURSOR)
        sys.stdout.flush()
    os._exit(128 + number)
