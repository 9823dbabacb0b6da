"""Scans from the command line: what is refused before anything is read, and photos with their outlines."""

from pathlib import Path

import pytest
from PIL import Image

from shelfwire.books.ai_scan.limits import MAX_PHOTO_BYTES
from shelfwire.books.cli.annotate import draw
from shelfwire.books.cli.found import found_in, table
from shelfwire.cli.errors import CommandError
from tests.books.ai_scan.scripted import photo
from tests.cli.conftest import Shelfwire

RESULTS = {
    "books": [
        {
            "title": "Dune",
            "authors": ["Frank Herbert"],
            "confidence": 0.9,
            "review": True,
            "places": [
                {"photo": 0, "polygon": [[20, 20], [40, 20], [40, 60], [20, 60]]},
                {"photo": 1, "polygon": []},
            ],
        }
    ]
}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    path = tmp_path / "shelf.png"
    path.write_bytes(photo((250, 250, 250)))
    return path


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["scan"], "Name the photo to scan"),
        (["scan", "nowhere.jpg"], "nowhere.jpg cannot be read"),
        (["scan", "{folder}"], "is a folder. Name one photo in it"),
        (["scan", *["{shelf}"] * 21], "21 photos are too many"),
        (["scan", "{shelf}", "--annotate", "{folder}/missing/out.jpg"], "There is no folder"),
        (["scan", "{shelf}", "--annotate", "{folder}/out.gif"], "ends in .jpg or .png"),
        (["scan", "{shelf}", "{shelf}", "--annotate", "."], "ends in .jpg or .png"),
    ],
)
def test_what_cannot_be_scanned_is_refused_in_one_line(
    shelfwire: Shelfwire, shelf: Path, words: list[str], why: str
) -> None:
    done = shelfwire(*[word.format(shelf=shelf, folder=shelf.parent) for word in words])
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_photo_that_is_too_large_is_refused_before_it_is_sent(shelfwire: Shelfwire, shelf: Path) -> None:
    with shelf.open("r+b") as file:
        file.truncate(MAX_PHOTO_BYTES + 1)
    done = shelfwire("scan", str(shelf))
    assert (done.returncode, "shelf.png is larger than 20 MiB" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["out.jpg", "out.png"])
def test_each_photo_is_drawn_with_what_was_found_on_it(shelf: Path, name: str) -> None:
    found = found_in(RESULTS)
    paths = [shelf.with_name(f"{number}-{name}") for number in (1, 2)]
    assert draw([shelf, shelf], found, paths) == paths
    drawn, plain = (Image.open(path).convert("RGB") for path in paths)
    red, green, blue = drawn.getpixel((20, 40))  # type: ignore[misc]
    assert min(red, green, blue) < 150, "the outline is there"
    assert min(plain.getpixel((20, 40))) > 200  # type: ignore[arg-type]


def test_a_photo_that_could_not_be_opened_is_passed_over_and_one_that_is_gone_is_named(shelf: Path) -> None:
    shelf.write_bytes(b"<svg/>")
    assert draw([shelf], found_in(RESULTS), [shelf.with_name("out.jpg")]) == []
    shelf.unlink()
    with pytest.raises(CommandError, match=r"shelf\.png cannot be read any more"):
        draw([shelf], found_in(RESULTS), [shelf.with_name("out.jpg")])


def test_a_photo_is_not_drawn_over_though_the_number_in_the_name_makes_it_the_same(
    shelfwire: Shelfwire, shelf: Path
) -> None:
    photos = [shelf.with_name("shelf-1.png"), shelf.with_name("shelf-2.png")]
    for path in photos:
        path.write_bytes(shelf.read_bytes())
    done = shelfwire("scan", *map(str, photos), "--annotate", str(shelf))
    assert (done.returncode, "shelf-1.png is the file to read" in done.stderr) == (2, True)
    assert "shelf-1" not in shelfwire("jobs").stdout, "nothing was started"


def test_only_books_on_photos_are_found_in_results() -> None:
    assert found_in({"books": [{"title": "Emma"}], "errors": []}) == []
    assert found_in(None) == []
    assert len(found_in(RESULTS)) == 1
    assert [tuple(map(str, row)) for row in table(RESULTS).rows] == [("1", "Dune", "Frank Herbert", "90%", "1, 2")]
