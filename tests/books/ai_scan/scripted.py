"""A process that opens photos as the real one does, and reads them as their colour says.

White: nothing on it. Red: it breaks off. Blue, in three shades: it never comes to an end, until a file says that it is
calm. Yellow: it computes for ever. Green: it breaks off, but not in a second process. Any other: a book named after its
red and green, by an author named after its blue.
"""

import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PIL import Image

from shelfwire.books.ai_scan.image_worker import claim_stdout, serve
from shelfwire.books.ai_scan.ipc import DetectedBook, Findings

COMMAND: Final = (sys.executable, "-m", "tests.books.ai_scan.scripted")
WHITE, RED, BLUE, GREEN, YELLOW = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 0)
Colour = tuple[int, int, int]


def photo(*colours: Colour, kind: str = "PNG", side: int = 64) -> bytes:
    """A photo with a stripe for each colour."""
    image = Image.new("RGB", (side * len(colours), side))
    for place, colour in enumerate(colours):
        image.paste(colour, (side * place, 0, side * (place + 1), side))
    out = io.BytesIO()
    image.save(out, kind, lossless=True)
    return out.getvalue()


def read(image: Image.Image, on_title: Callable[[str], None]) -> Findings:
    log = os.environ.get("TMPDIR", tempfile.gettempdir())
    spines = []
    for left in range(0, image.width, 64):
        pixel = image.getpixel((left + 5, 5))
        assert isinstance(pixel, tuple)
        red, green, blue = pixel
        with (Path(log) / "read.log").open("a") as file:
            file.write(f"{red}-{green}-{blue}\n")
        match pixel:
            case (255, 255, 255):
                continue
            case (255, 0, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            case (0, 0, 253 | 254 | 255) if not (Path(log) / f"calm-{blue}").exists():
                signal.pause()
            case (255, 255, 0):
                while True:
                    pass
            case (0, 255, 0):
                seen = Path(log) / "green"
                if not seen.exists():
                    seen.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        title = f"The Title of Book {red} {green}"
        on_title(title)
        authors = (f"Author {blue}",) if blue else ()
        text = " | ".join([title.upper(), *authors])
        box = ((left, 0), (left + 63, 0), (left + 63, 63), (left, 63))
        spines.append(DetectedBook(title=title, authors=authors, confidence=0.5 + red / 512, polygon=box, text=text))
    return Findings(tuple(spines))


if __name__ == "__main__":
    serve(sys.stdin.buffer, claim_stdout(), read, *map(int, sys.argv[1:]))
