"""The reader itself, on rendered shelves, and on real photos where there are some.

Set SHELFWIRE_SHELVES to a folder of photos with a truth beside each (`name.jpg`, `name.json`) to read those as well.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from shelfwire.books.ai_scan.ipc import DetectedBook, Findings, Hint
from shelfwire.books.ai_scan.limits import MAX_PIXELS
from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.ai_scan.reader import Reader
from shelfwire.books.ai_scan.reader.engine import Recognition, reading_width
from shelfwire.books.ai_scan.reader.geometry import Pixels, Quad, is_plain, turned
from tests.books.ai_scan.scoring import Book, Score, scored
from tests.books.ai_scan.shelves import shelf
from tests.conftest import Effort

PHOTOS = os.environ.get("SHELFWIRE_SHELVES")
SEED, SMALL_SEED = 5, 4
SCRIPTS = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
needs_scripts = pytest.mark.skipif(not Path(SCRIPTS).is_file(), reason="needs a font with other scripts: DejaVu Sans")
SHELVES, MANY_SHELVES = 6, 150


class Read(NamedTuple):
    """A rendered shelf, what was read on it, and what was told meanwhile."""

    books: list[Book]
    image: NDArray[np.uint8]
    spines: list[DetectedBook]
    told: list[str]

    def score(self) -> Score:
        return scored([Book(spine.title, ", ".join(spine.authors)) for spine in self.spines], self.books)


ReadShelf = Callable[[int], Read]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)  # other tests have the other cores


@pytest.fixture(scope="module")
def read_shelf(reader: Reader) -> ReadShelf:
    """Reads the rendered shelf of a number; the last ones only once for all tests."""

    @functools.lru_cache(maxsize=SHELVES)
    def read(number: int) -> Read:
        rendered = shelf(number)
        image = np.asarray(open_photo(rendered.jpeg()))
        told: list[str] = []
        spines = reader.read(image, told.append)
        return Read([Book(book.title, book.author) for book in rendered.books], image, spines, told)

    return read


@pytest.fixture(scope="module")
def upright(read_shelf: ReadShelf) -> Read:
    return read_shelf(SEED)


def titles(spines: list[DetectedBook]) -> set[str]:
    return {spine.title.casefold() for spine in spines}


def nobody(_: str) -> None:
    pass


def test_rendered_shelves_are_read_almost_without_fault(read_shelf: ReadShelf, effort: Effort) -> None:
    total = Score(0, 0, 0, 0, 0, 0, 0)
    for number in range(effort.of(SHELVES, MANY_SHELVES)):
        total += read_shelf(number).score()
    assert total.recall >= 0.95, total
    assert total.precision >= 0.95, total
    assert total.naming >= 0.9, total


def test_a_rendered_shelf_is_read_in_every_direction_alike(reader: Reader, upright: Read) -> None:
    assert upright.score().recall >= 0.8
    assert upright.score().precision >= 0.8
    assert upright.told[-len(upright.spines) :] == [spine.title for spine in upright.spines]
    assert len(upright.told) > len(upright.spines), "and of what was read on the way"
    assert titles(reader.read(turned(upright.image, 2), nobody)) == titles(upright.spines)


def test_a_spine_lies_where_it_was_read_whichever_way_the_photo_is_turned(reader: Reader, upright: Read) -> None:
    height, width = upright.image.shape[:2]
    known = {spine.title: spine for spine in upright.spines}
    for spine in reader.read(turned(upright.image, 1), nobody):
        x, y = np.mean(spine.polygon, axis=0)
        there = np.mean(known[spine.title].polygon, axis=0)
        assert np.allclose((width - y, x), there, atol=max(width, height) / 50)


def face(*said: str, blur: float = 0.6) -> NDArray[np.uint8]:
    """The face of a book: large lines one above the other."""
    image = Image.new("RGB", (900, 1200), (230, 228, 220))
    pen = ImageDraw.Draw(image)
    for row, text in enumerate(said):
        pen.text((450, 200 + 220 * row), text, (20, 20, 40), ImageFont.truetype(SCRIPTS, 64), "mm")
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)))


@needs_scripts
def test_a_blurred_photo_says_so(reader: Reader) -> None:
    assert reader.findings(face("The Quiet", "Harbour", "Margaret Ellis"), nobody).hints == ()
    assert reader.findings(face("The Quiet", "Harbour", "Margaret Ellis", blur=5), nobody).hints == (Hint.BLURRED,)


@needs_scripts
@pytest.mark.parametrize(
    "said",
    [
        ("ФЁДОР ДОСТОЕВСКИЙ", "Преступление", "и наказание", "Издательство"),
        ("ΝΙΚΟΣ ΚΑΖΑΝΤΖΑΚΗΣ", "Βίος και Πολιτεία", "του Αλέξη Ζορμπά"),
    ],
    ids=["Cyrillic", "Greek"],
)
def test_a_script_that_is_not_known_is_named_and_gives_no_book(reader: Reader, said: tuple[str, ...]) -> None:
    assert reader.findings(face(*said), nobody) == Findings((), (Hint.SCRIPT,))


@pytest.mark.parametrize("quarters", range(4))
def test_books_are_named_as_they_stand_in_the_photo_whichever_way_their_text_runs(
    reader: Reader, upright: Read, quarters: int
) -> None:
    spines = reader.read(turned(upright.image, quarters), nobody)
    read_along = [spine.title.casefold() for spine in spines if spine.title.casefold() in titles(upright.spines)]
    rendered = [book.title.casefold() for book in upright.books if book.title.casefold() in read_along]
    # What stood leftmost stands rightmost after half a turn, as on a shelf whose spines are read upwards, and lies
    # lowest in a stack after a quarter, once its text is upright.
    assert read_along == (rendered if quarters == 0 else rendered[::-1])


def test_reading_leaves_the_arithmetic_of_the_caller_alone(reader: Reader) -> None:
    reader.read(np.zeros((64, 64, 3), np.uint8), nobody)
    assert sys.float_info.min / 2 > 0, "denormal numbers are zero for the models' own thread only"


def test_a_photo_without_text_has_no_books(reader: Reader) -> None:
    # Small ones are looked at enlarged, so that the flat one is kept narrow.
    noise = np.random.default_rng(1).integers(0, 255, (200, 600, 3), np.uint8)
    assert reader.read(noise, nobody) == []
    assert reader.read(np.full((60, 300, 3), 200, np.uint8), nobody) == []


def test_the_models_are_spared_a_photo_of_one_colour_however_large(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader._engine, "_detector", None)
    ground = np.random.default_rng(1).integers(20, 26, (4000, 4000, 3), np.uint8)
    assert reader.read(ground, nobody) == []


def test_letters_that_can_just_be_told_from_their_ground_are_looked_for() -> None:
    ground = np.full((40, 40, 3), 100, np.uint8)
    assert is_plain(ground)
    ground[20, 20, 1] = 108
    assert not is_plain(ground)


def test_of_lines_that_fill_a_photo_only_the_largest_are_read(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def lines(image: Pixels) -> list[Quad]:
        height, width = image.shape[:2]
        tops = range(0, height - 12, 12)
        return [np.array([[4, y], [width - 4, y], [width - 4, y + 9], [4, y + 9]], np.float32) for y in tops]

    def read(crops: Sequence[Pixels]) -> list[Recognition]:
        widths.extend(reading_width(crop.shape[1], crop.shape[0]) for crop in crops)
        return [Recognition("a line", 0.9, ())] * len(crops)

    monkeypatch.setattr(reader._engine, "detect", lines)
    monkeypatch.setattr(reader._engine, "read", read)
    reader.read(np.zeros((4000, 4000, 3), np.uint8), nobody)
    assert 100_000 < sum(widths) < 200_000, "two axes, and some lines to see which way they run"


def test_a_page_of_a_letter_is_no_shelf(reader: Reader) -> None:
    page = Image.new("RGB", (1000, 1300), "white")
    font = ImageFont.load_default(28)
    for number in range(24):
        ImageDraw.Draw(page).text(
            (90, 90 + number * 46), "we had hoped to hear from you about it before long", "black", font
        )
    assert reader.read(np.asarray(page), nobody) == []


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_photo_is_refused(reader: Reader, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="A photo is height x width x 3 bytes"):
        reader.read(np.zeros(shape, np.uint8), nobody)


def test_a_photo_that_is_too_large_is_refused(reader: Reader) -> None:
    row = np.zeros((1, 1, 3), np.uint8)
    huge = np.broadcast_to(row, (MAX_PIXELS // 1000 + 1, 1000, 3))
    with pytest.raises(ValueError, match="Make it smaller"):
        reader.read(huge, nobody)


def test_the_smallest_photo_is_read_without_a_word(reader: Reader) -> None:
    assert reader.read(np.zeros((1, 1, 3), np.uint8), nobody) == []


OFFLINE = """
import sys

def refuse(event, arguments):
    if event.startswith("socket.") and event not in {"socket.gethostname"}:
        raise RuntimeError("reached for the network: " + event)

sys.addaudithook(refuse)
try:
    import socket
    socket.socket()
except RuntimeError:
    print("refused")

import numpy as np
from PIL import Image
from shelfwire.books.ai_scan.reader import Reader

print(len(Reader(threads=1).read(np.asarray(Image.open(sys.argv[1]).convert("RGB")), lambda _: None)) > 0)
"""


def test_reading_needs_no_network(tmp_path: Path) -> None:
    photo = tmp_path / "shelf.jpg"
    photo.write_bytes(shelf(SMALL_SEED).jpeg())
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", OFFLINE, str(photo)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout.split(), done.returncode) == (["refused", "True"], 0), done.stderr


@pytest.mark.skipif(not PHOTOS, reason="set SHELFWIRE_SHELVES to a folder of photos with truths")
@pytest.mark.parametrize("path", sorted(Path(PHOTOS or ".").glob("*.jpg")), ids=lambda path: path.stem)
def test_real_photos_are_read_as_well_as_promised(reader: Reader, path: Path) -> None:
    with Image.open(path) as photo:
        image = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    true = [Book(book["title"], book.get("author") or "") for book in said["books"]]
    score = scored([Book(spine.title, ", ".join(spine.authors)) for spine in reader.read(image, nobody)], true)
    assert score.recall >= 0.75, score
    assert score.precision >= 0.8, score
