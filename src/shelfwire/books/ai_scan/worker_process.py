"""Starts the image worker, sends it photos one after the other, and replaces it when it has died."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from shelfwire.books.ai_scan.ipc import (
    ANY_WIDTH,
    LENGTH,
    MAX_FRAME_BYTES,
    DetectedBooks,
    ImageRefused,
    ImageRequest,
    JpegCopy,
    TitleRead,
    WorkerMessage,
    framed,
    message_decoder,
)
from shelfwire.books.ai_scan.limits import MAX_CPU_SECONDS
from shelfwire.books.codes import BookCode
from shelfwire.books.fair_lock import FairLock
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.job import RUNNING_JOB

COMMAND: Final = (sys.executable, "-m", "shelfwire.books.ai_scan.image_worker")
PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT", "COVERAGE_PROCESS_START")
"""The environment variables that the worker inherits; it needs no keys."""
PHOTO_SECONDS: Final = 300.0
"""A photo takes ten seconds on two idle cores and `MAX_CPU_SECONDS` of processor time at most; one that takes this long
will not end on busy cores either."""
IDLE_SECONDS: Final = 60.0
"""After this time without a photo the worker ends, which frees its memory."""
TRIES: Final = 2
"""A worker may be killed for lack of memory at the moment; a photo that kills two is itself the cause."""

log = structlog.get_logger(__name__)


class ImageWorkerProcess:
    """The image worker, started with the first photo. Jobs have their photos read in turn, one by one.

    Args:
        command: starts it.
        photo_seconds: how long a photo may take.
        idle_seconds: how long to keep it without work.
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
        self._lock = FairLock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    async def books(self, photo: bytes, on_title: Callable[[str], None]) -> DetectedBooks:
        """Detect the books on a photo.

        Args:
            photo: the file.
            on_title: receives each title as it is read.

        Raises:
            ShelfwireError: `E_IMAGE_UNREADABLE`.
        """
        answer = await self._request(ImageRequest(photo, "books"), on_title)
        assert isinstance(answer, DetectedBooks)  # noqa: S101 - the worker answers what it was asked
        return answer

    async def jpeg(self, photo: bytes, width: int = ANY_WIDTH) -> JpegCopy:
        """Make a JPEG without metadata, which may leave this machine.

        Args:
            photo: the file.
            width: the width of the JPEG at most, in pixels.

        Raises:
            ShelfwireError: `E_IMAGE_UNREADABLE`.
        """
        answer = await self._request(ImageRequest(photo, "jpeg", width), lambda _: None)
        assert isinstance(answer, JpegCopy)  # noqa: S101 - the worker answers what it was asked
        return answer

    async def close(self) -> None:
        """End the worker; the next photo starts another one."""
        async with self._lock.turn(RUNNING_JOB.get()):
            await self._end()

    async def _request(self, request: ImageRequest, on_title: Callable[[str], None]) -> WorkerMessage:
        async with self._lock.turn(RUNNING_JOB.get()):
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            for _ in range(TRIES):
                answer = await self._exchange(request, on_title)
                if answer is not None:
                    break
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_stdin)
        match answer:
            case None:
                raise _too_demanding("The process that read the photo died, twice")
            case ImageRefused(message, user_message):
                raise ShelfwireError(BookCode.IMAGE_UNREADABLE, message, user_message=user_message)
            case _:
                return answer

    async def _exchange(self, request: ImageRequest, on_title: Callable[[str], None]) -> WorkerMessage | None:
        """Send a request and return its answer; None if the worker dies before."""
        process = await self._started()
        try:
            async with asyncio.timeout(self._photo_seconds):
                return await _send(process, request, on_title)
        except TimeoutError:
            await self._end()
            raise _too_demanding(f"Reading the photo took longer than {self._photo_seconds:g} s") from None
        except (OSError, EOFError):
            await self._end()
            if process.returncode == -signal.SIGXCPU:
                raise _too_demanding(f"Reading the photo took {MAX_CPU_SECONDS} s of processor time") from None
            log.warning("the image worker died", exit=process.returncode)
            return None
        except BaseException:
            # It may be in the middle of a photo that is no longer needed.
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
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
        # The pipes' transports close with the process, but only in later turns of the event loop.
        _transport(process).close()

    def _close_stdin(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def _transport(process: asyncio.subprocess.Process) -> Any:
    return process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio offers no other way to close it


async def _send(
    process: asyncio.subprocess.Process, request: ImageRequest, on_title: Callable[[str], None]
) -> WorkerMessage:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(framed(request))
    await process.stdin.drain()
    while True:
        [length] = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise EOFError
        message: WorkerMessage = message_decoder.decode(await process.stdout.readexactly(length))
        if not isinstance(message, TitleRead):
            return message
        on_title(message.title)


def _too_demanding(why: str) -> ShelfwireError:
    return ShelfwireError(
        BookCode.IMAGE_UNREADABLE,
        why,
        user_message="Reading this photo took too much. Send it in a smaller size, or take it again from closer.",
    )
