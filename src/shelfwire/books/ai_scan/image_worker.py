"""The process that opens photos: `python -m shelfwire.books.ai_scan.image_worker`.

A decoder or a reader that crashes, or takes all the memory it can get, does so here. It answers one question after the
other until its input ends.
"""

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
    Answer,
    Ask,
    Books,
    Jpeg,
    Refused,
    Spine,
    Spotted,
    ask_decoder,
    framed,
)
from shelfwire.errors import ShelfwireError

MAX_ADDRESS_BYTES: Final = 6 * 1024**3
"""What the process may map; it uses a quarter of it, and the libraries reserve more than they use."""
PARENT_SECONDS: Final = 1.0
"""How often to look whether the parent is there."""
NICENESS: Final = 5
"""The server that people wait for goes first."""

Read = Callable[[Image.Image, Callable[[str], None]], tuple[Spine, ...]]


def answers(ask: Ask, read: Read, spotted: Callable[[str], None]) -> Answer:
    """Answer one question.

    Args:
        ask: the question.
        read: finds the books on a photo.
        spotted: is told of each title as it is read.
    """
    try:
        image = photos.opened(ask.photo)
    except ShelfwireError as error:
        return Refused(error.message, error.user_message)
    if ask.want == "jpeg":
        data, width, height = photos.as_jpeg(image)
        return Jpeg(data, width, height, image.width, image.height)
    return Books(read(image, spotted), image.width, image.height)


def offline_reader() -> Read:
    """The reader that needs no network. It is made when the first photo comes, which takes seconds."""
    made = None

    def read(image: Image.Image, spotted: Callable[[str], None]) -> tuple[Spine, ...]:
        nonlocal made
        import numpy as np  # noqa: PLC0415 - comes with the extra, as the reader does

        from shelfwire.books.ai_scan.reader import Reader  # noqa: PLC0415 - likewise

        made = made or Reader()
        return tuple(made.read(np.asarray(image), spotted))

    return read


def serve(questions: BinaryIO, out: BinaryIO, read: Read) -> None:
    """Answer until there are no more questions."""

    def tell(answer: Answer) -> None:
        out.write(framed(answer))
        out.flush()

    for ask in _asked(questions):
        tell(answers(ask, read, lambda title: tell(Spotted(title))))


def _asked(questions: BinaryIO) -> Iterator[Ask]:
    while len(head := questions.read(LENGTH.size)) == LENGTH.size:
        yield ask_decoder.decode(questions.read(*LENGTH.unpack(head)))


def answering() -> BinaryIO:
    """Take the standard output for answers, send all that is printed to where errors go, and leave with the parent.

    A parent that is killed cannot end this process, which may be in the middle of a photo that nobody waits for.
    """
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    return out


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve on the standard streams."""
    out = answering()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    serve(sys.stdin.buffer, out, offline_reader())


if __name__ == "__main__":
    main()
