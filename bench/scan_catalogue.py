"""How much a catalogue mends of what was read on photos of shelves, and whether it makes right readings wrong.

The catalogue holds all books of the truth, none, or one half and then the other, among 300,000 others that are made up.
For each true book it also has its title by another author, and another title by its author. A catalogue of parts of the
true titles by their authors ("Snow" for "Snow Crash") shows how easily it is led astray. For truths see
`scan_accuracy.py`.
"""

import argparse
import csv
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.made_books import World
from bench.scan_accuracy import figures, truth_of
from tests.books.ai_scan.scoring import Book, Score, scored

from shelfwire.books.ai_scan.confirming import Judged, judged, unconfirmed
from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.reader import Reader
from shelfwire.books.catalogue import Catalogue
from shelfwire.books.catalogue.build import build
from shelfwire.books.csv_import.catalogue_source import find_books

OTHERS = 300_000


class Photo(NamedTuple):
    """What was read on a photo, and what is on it."""

    read: Sequence[DetectedBook]
    true: Sequence[Book]


class Outcome(NamedTuple):
    """What came of all photos.

    Attributes:
        score: of all of them.
        sure: books that the catalogue was sure of.
        wrong: those of them that are not there.
        spoilt: those of the wrong ones that had been read right.
    """

    score: Score
    sure: int
    wrong: int
    spoilt: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--truth", nargs="+", type=Path, required=True, help="files, one for each photo, or a folder")
    options = parser.parse_args()
    reader = Reader(threads=1)
    photos = [_photo(reader, path, options.truth) for path in options.photos]
    true = sorted({book for photo in photos for book in photo.true}, key=lambda book: (book.title, book.authors))
    world = World(OTHERS, 1)
    near = [*_near(true, world)]
    print(f"{'catalogue':12} {'recall':>12} {'precision':>12} {'authors':>12} confused  sure wrong spoilt")
    _print("without", outcome(photos, unconfirmed))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dumps = world.write(folder)
        halves = [[book for book in true if _half(book) == half] for half in (0, 1)]
        for name, held in {"no book": [], "one half": halves[0], "other half": halves[1], "all": true}.items():
            with _built(folder / name, [*held, *near], dumps) as catalogue:
                began = time.perf_counter()
                _print(name, outcome(photos, partial(judged, catalogue)))
                seconds = time.perf_counter() - began
        with _built(folder / "parts", [*_parts(true)], []) as catalogue:
            _print("parts", outcome(photos, partial(judged, catalogue)))
    print(f"{seconds / sum(len(photo.read) for photo in photos) * 1000:.0f} ms a book")


def _photo(reader: Reader, path: Path, truths: list[Path]) -> Photo:
    with Image.open(path) as photo:
        image = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    return Photo(reader.findings(image, lambda _: None).books, truth_of(path, truths))


def _half(book: Book) -> int:
    return hashlib.sha256(book.title.encode()).digest()[0] % 2


def _near(true: Iterable[Book], world: World) -> Iterator[Book]:
    for book in true:
        yield Book(book.title, world.dice.choice(world.books).author)
        if book.authors:
            yield Book(world.dice.choice(world.books).title, book.authors)


def _parts(true: Iterable[Book]) -> Iterator[Book]:
    for book in true:
        words = book.title.split()
        for part in (words[:1], words[-1:], words[: len(words) // 2], words[len(words) // 2 :]):
            if book.authors and part and len(part) < len(words):
                yield Book(" ".join(part), book.authors)


def _built(out: Path, books: Iterable[Book], dumps: Sequence[Path]) -> Catalogue:
    table = out.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Title", "Author"])
        writer.writerows((book.title, book.authors) for book in books)
    build([*dumps, table], out, find_books=find_books)
    return Catalogue(out)


def outcome(photos: Sequence[Photo], judge: Callable[[Sequence[DetectedBook]], Sequence[Judged]]) -> Outcome:
    """What a catalogue makes of all photos."""
    total = Outcome(Score(0, 0, 0, 0, 0, 0, 0), 0, 0, 0)
    for photo in photos:
        remaining = judge(photo.read)
        shown = [
            Book(known.title, ", ".join(known.authors))
            if known and known.sure
            else Book(book.title, ", ".join(book.authors))
            for book, known in remaining
        ]
        score = scored(shown, photo.true)
        sure = [index for index, one in enumerate(remaining) if one.known and one.known.sure]
        wrong = [index for index in sure if index not in score.pairs]
        spoilt = [index for index in wrong if scored([_as_read(remaining[index].book)], photo.true).recalled]
        total = Outcome(
            total.score + score, total.sure + len(sure), total.wrong + len(wrong), total.spoilt + len(spoilt)
        )
    return total


def _as_read(book: DetectedBook) -> Book:
    return Book(book.title, ", ".join(book.authors))


def _print(name: str, what: Outcome) -> None:
    print(f"{name:12} {figures(what.score)} {what.sure:5} {what.wrong:5} {what.spoilt:6}", flush=True)


if __name__ == "__main__":
    main()
