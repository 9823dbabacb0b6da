"""How well the offline reader reads photos of shelves: recall, precision, authors, and what a photo costs.

A truth is a JSON file with a list of books, or an object with such a list as `books`; each has a `title` and may have
an `author`. In a folder of truths the one with the photo's name is taken.
"""

import argparse
import io
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.books.ai_scan.scoring import Book, Score, scored

from shelfwire.books.ai_scan.reader import Reader


def main() -> None:
    options = _options()
    reader = Reader(threads=options.threads)
    reader.read(np.full((320, 480, 3), 255, np.uint8), _ignore)
    total = Score(0, 0, 0, 0, 0, 0, 0)
    print(f"{'photo':32} {'recall':>12} {'precision':>12} {'authors':>12} confused  seconds  processor/2")
    for photo in options.photos:
        true = truth_of(photo, options.truth)
        for turn in options.turns:
            image = _load(photo, turn, options.quality)
            start, used = time.perf_counter(), time.process_time()
            spines = reader.read(image, _ignore)
            seconds, used = time.perf_counter() - start, time.process_time() - used
            found = [Book(spine.title, ", ".join(spine.authors)) for spine in spines]
            score = scored(found, true)
            total += score
            name = photo.stem + (f" turned by {turn}°" if turn else "")
            print(f"{name:32} {figures(score)}  {seconds:7.1f}  {used / 2:11.1f}", flush=True)
            if options.verbose:
                _tell(found, true, score)
    print(f"{'all':32} {figures(total)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


def _ignore(_: str) -> None:
    pass


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--truth", nargs="+", type=Path, required=True, help="files, one for each photo, or a folder")
    parser.add_argument("--turns", nargs="+", type=int, default=[0], help="degrees anticlockwise, several one by one")
    parser.add_argument("--quality", type=int, help="save as JPEG of this quality before")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print each book")
    return parser.parse_args()


def _load(path: Path, turn: int, quality: int | None) -> NDArray[np.uint8]:
    with Image.open(path) as photo:
        image = ImageOps.exif_transpose(photo).convert("RGB")
    image = image.rotate(turn, expand=True) if turn else image
    if quality:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        image = Image.open(buffer)
    return np.asarray(image)


def truth_of(photo: Path, truths: list[Path]) -> list[Book]:
    candidates = [truth / f"{photo.stem}.json" if truth.is_dir() else truth for truth in truths]
    named = [path for path in candidates if path.stem == photo.stem and path.is_file()]
    if not named and len(candidates) > 1:
        sys.exit(f"No truth for {photo}: give a file or a folder with {photo.stem}.json")
    said: Any = json.loads((named or candidates)[0].read_text(encoding="utf-8"))
    books = said if isinstance(said, list) else said["books"]
    return [Book(book["title"], book.get("author") or "") for book in books]


def figures(score: Score) -> str:
    return (
        f"{score.recalled:3}/{score.books:3} {score.recall:4.2f} "
        f"{score.found - score.false:3}/{score.found:3} {score.precision:4.2f} "
        f"{score.authors:3}/{score.named:3} {score.naming:4.2f} {score.confused:8}"
    )


def _tell(found: list[Book], true: list[Book], score: Score) -> None:
    for book, index in zip(true, score.pairs, strict=True):
        print(f"    {book.title} / {book.authors} <- {found[index] if index is not None else 'missed'}")
    for index, book in enumerate(found):
        if index not in score.pairs:
            print(f"    false: {book}")


if __name__ == "__main__":
    main()
