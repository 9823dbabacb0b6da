"""The image worker, a process that opens photos: `python -m shelfwire.books.ai_scan.image_worker`.

It isolates the server from decoders and readers that crash or exhaust memory. It answers one request after the other
until its input ends.
"""

import math
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from PIL import Image

from shelfwire.books.ai_scan import photos
from shelfwire.books.ai_scan.ipc import (
    LENGTH,
    DetectedBooks,
    Findings,
    ImageRefused,
    ImageRequest,
    JpegCopy,
    TitleRead,
    WorkerMessage,
    framed,
    request_decoder,
)
from shelfwire.books.ai_scan.limits import MAX_CPU_SECONDS
from shelfwire.errors import ShelfwireError

MAX_ADDRESS_BYTES: Final = 6 * 1024**3
"""Address space of the process; it uses a quarter of it, as the libraries reserve more than they use."""
PARENT_SECONDS: Final = 1.0
"""How often to check that the parent process is alive."""
NICENESS: Final = 5
"""The server has precedence."""

Read = Callable[[Image.Image, Callable[[str], None]], Findings]


def answer(request: ImageRequest, read: Read, on_title: Callable[[str], None]) -> WorkerMessage:
    """Answer one request.

    Args:
        request: the request.
        read: detects the books on a photo.
        on_title: receives each title as it is read.
    """
    try:
        image = photos.open_photo(request.photo)
    except ShelfwireError as error:
        return ImageRefused(error.message, error.user_message)
    if request.want == "jpeg":
        data, width, height = photos.as_jpeg(image, request.width)
        return JpegCopy(data, width, height, image.width, image.height)
    found = read(image, on_title)
    return DetectedBooks(found.books, image.width, image.height, found.hints)


def offline_reader() -> Read:
    """A reader that needs no network. Its models are loaded with the first photo, which takes seconds."""
    reader = None

    def read(image: Image.Image, on_title: Callable[[str], None]) -> Findings:
        nonlocal reader
        import numpy as np  # noqa: PLC0415 - comes with the extra, as the reader does

        from shelfwire.books.ai_scan.reader import Reader  # noqa: PLC0415 - likewise

        reader = reader or Reader()
        return reader.findings(np.asarray(image), on_title)

    return read


def serve(requests: BinaryIO, out: BinaryIO, read: Read, cpu_seconds: int = MAX_CPU_SECONDS) -> None:
    """Answer requests until their stream ends.

    The system ends this process, with SIGXCPU, in the middle of a photo that takes more processor time than it may.
    That time does not grow while other processes keep the machine busy.

    Args:
        requests: framed requests.
        out: takes framed answers.
        read: detects the books on a photo.
        cpu_seconds: processor time for one photo.
    """

    def send(message: WorkerMessage) -> None:
        out.write(framed(message))
        out.flush()

    for request in _requests(requests):
        _limit_cpu(math.ceil(time.process_time()) + cpu_seconds)
        send(answer(request, read, lambda title: send(TitleRead(title))))


def _limit_cpu(seconds: int) -> None:
    """Let the system end this process once it has used so much processor time, or less if it is allowed less."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most == resource.RLIM_INFINITY else min(seconds, most), most))


def _requests(stream: BinaryIO) -> Iterator[ImageRequest]:
    while len(head := stream.read(LENGTH.size)) == LENGTH.size:
        yield request_decoder.decode(stream.read(*LENGTH.unpack(head)))


def claim_stdout() -> BinaryIO:
    """Return the standard output for answers, redirect prints to the standard error, and exit with the parent.

    A parent that is killed cannot end this process, which may be in the middle of a photo.
    """
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    return out


def _exit_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve on the standard streams."""
    out = claim_stdout()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    serve(sys.stdin.buffer, out, offline_reader())


if __name__ == "__main__":
    main()
