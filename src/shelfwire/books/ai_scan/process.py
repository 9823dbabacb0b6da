"""Asks a process of its own to open photos, one after the other, and replaces it when it is gone."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import structlog

from shelfwire.books.ai_scan.ipc import (
    LENGTH,
    MAX_FRAME_BYTES,
    Answer,
    Ask,
    Books,
    Jpeg,
    Refused,
    Spotted,
    answer_decoder,
    framed,
)
from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError

COMMAND: Final = (sys.executable, "-m", "shelfwire.books.ai_scan.image_worker")
PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT", "COVERAGE_PROCESS_START")
"""What the process gets of the environment: it needs no key."""
PHOTO_SECONDS: Final = 300.0
"""A photo takes ten seconds of two idle cores; what takes so long will not come to an end on busy ones either."""
IDLE_SECONDS: Final = 60.0
"""After so long without a photo the process ends, and its memory is free."""
TRIES: Final = 2
"""A process may be killed for what the machine lacks at the moment; a photo that kills two does it itself."""

log = structlog.get_logger(__name__)


class Opener:
    """One process that opens photos, started when the first one comes.

    Args:
        command: what to start.
        photo_seconds: how long a photo may take.
        idle_seconds: how long to keep the process when there is nothing to do.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        photo_seconds: float = PHOTO_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._command = command
        self._photo_seconds = photo_seconds
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._leaving: asyncio.TimerHandle | None = None

    async def books(self, photo: bytes, spotted: Callable[[str], None]) -> Books:
        """Read the books on a photo.

        Args:
            photo: the file.
            spotted: is told of each title as it is read.

        Raises:
            ShelfwireError: `E_IMAGE_UNREADABLE`.
        """
        answer = await self._answered(photo, "books", spotted)
        assert isinstance(answer, Books)  # noqa: S101 - one answer for each wish
        return answer

    async def jpeg(self, photo: bytes) -> Jpeg:
        """Make a JPEG that may leave this machine.

        Raises:
            ShelfwireError: `E_IMAGE_UNREADABLE`.
        """
        answer = await self._answered(photo, "jpeg", lambda _: None)
        assert isinstance(answer, Jpeg)  # noqa: S101 - one answer for each wish
        return answer

    async def close(self) -> None:
        """End the process; the next photo starts another one."""
        async with self._turn:
            await self._end()

    async def _answered(self, photo: bytes, want: Literal["books", "jpeg"], spotted: Callable[[str], None]) -> Answer:
        async with self._turn:
            if self._leaving is not None:
                self._leaving.cancel()
            ask = Ask(photo, want)
            for _ in range(TRIES):
                answer = await self._ask(ask, spotted)
                if answer is not None:
                    break
            self._leaving = asyncio.get_running_loop().call_later(self._idle_seconds, self._leave)
        match answer:
            case None:
                raise _given_up("The process that read the photo broke off, twice")
            case Refused(message, user_message):
                raise ShelfwireError(BookCode.IMAGE_UNREADABLE, message, user_message=user_message)
            case _:
                return answer

    async def _ask(self, ask: Ask, spotted: Callable[[str], None]) -> Answer | None:
        """Ask, and return the answer; None if the process is gone before it comes."""
        process = await self._started()
        try:
            async with asyncio.timeout(self._photo_seconds):
                return await _talk(process, ask, spotted)
        except TimeoutError:
            await self._end()
            raise _given_up(f"Reading the photo took longer than {self._photo_seconds:g} s") from None
        except (OSError, EOFError):
            await self._end()
            log.warning("the process that opens photos broke off", exit=process.returncode)
            return None
        except BaseException:
            # It may be in the middle of a photo that nobody wants any more.
            await self._end()
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                start_new_session=True,  # Ctrl-C is for the server
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if self._leaving is not None:
            self._leaving.cancel()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
        # The pipes' transports close with the process, but only in the loop's next turns.
        _transport(process).close()

    def _leave(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def _transport(process: asyncio.subprocess.Process) -> Any:
    return process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio offers no other way to close it


async def _talk(process: asyncio.subprocess.Process, ask: Ask, spotted: Callable[[str], None]) -> Answer:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(framed(ask))
    await process.stdin.drain()
    while True:
        [length] = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise EOFError
        answer: Answer = answer_decoder.decode(await process.stdout.readexactly(length))
        if not isinstance(answer, Spotted):
            return answer
        spotted(answer.title)


def _given_up(why: str) -> ShelfwireError:
    return ShelfwireError(
        BookCode.IMAGE_UNREADABLE,
        why,
        user_message="Reading this photo took too much. Send it in a smaller size, or take it again from closer.",
    )
