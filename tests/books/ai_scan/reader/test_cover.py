"""The face of one book gives its title and authors; shelves, signs and boxes do not."""

import numpy as np
import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

from shelfwire.books.ai_scan.ipc import LIKELY
from shelfwire.books.ai_scan.reader.cover import cover_of
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.geometry import Quad
from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.lines import Line
from shelfwire.books.ai_scan.reader.shelf import books_of
from tests.books.ai_scan.reader.test_spines import NONE, edges

SIZE = 1000, 1400
BARE = Edges(NONE, NONE)
ENGLISH = Lexicon(["the", "and", "of", "house"])


def lines(*said: tuple[str, float, float], middle: float = 500) -> list[Line]:
    """Lines about one middle, each as its text, its top, and its height."""
    return [Line(text, 0.99, box(middle, top, 0.6 * height * len(text), height), 0) for text, top, height in said]


def box(middle: float, top: float, width: float, height: float) -> Quad:
    left, right = middle - width / 2, middle + width / 2
    return np.array([(left, top), (right, top), (right, top + height), (left, top + height)], np.float32)


PRAISED = lines(
    ("NEW YORK TIMES BESTSELLER", 60, 30),
    ("THE QUIET", 300, 120),
    ("HARBOUR", 440, 120),
    ("Introduction by", 700, 30),
    ("Peter Jackson", 740, 40),
    ("MARGARET ELLIS", 1000, 70),
    ('"A masterpiece." - The Daily Post', 1200, 30),
)


def test_a_cover_gives_its_title_and_author_and_not_its_praise() -> None:
    cover = cover_of(PRAISED, BARE, SIZE, ENGLISH)
    assert cover is not None
    assert (cover.title, cover.authors) == ("THE QUIET HARBOUR", ("MARGARET ELLIS",))


def test_an_author_in_larger_letters_than_the_title_is_no_title() -> None:
    cover = cover_of(lines(("STEPHEN KING", 100, 160), ("The Outsider", 900, 90)), BARE, SIZE, ENGLISH)
    assert cover is not None
    assert (cover.title, cover.authors) == ("The Outsider", ("STEPHEN KING",))


def test_lines_beside_each_other_are_spines_and_no_cover() -> None:
    side_by_side = [*lines(("THE QUIET HARBOUR", 300, 50), middle=300), *lines(("ELLIS", 300, 50), middle=900)]
    assert cover_of([*PRAISED, *side_by_side], BARE, SIZE, ENGLISH) is None


@pytest.mark.parametrize(
    "sign",
    [
        lines(("SUMMER", 100, 150), ("FESTIVAL", 300, 150), ("SATURDAY 14 JUNE", 900, 60)),
        lines(("LIVE IN CONCERT", 100, 90), ("ANNA KELLER", 500, 140)),
        lines(("CASTLE BUILDERS", 100, 100), ("Peter Schmidt", 500, 60), ("2-4 players", 800, 60)),
    ],
    ids=lambda said: said[0].text,
)
def test_what_is_no_book_is_none_without_a_catalogue(sign: list[Line]) -> None:
    assert [book for book in books_of(sign, BARE, SIZE) if book.confidence >= LIKELY] == []


def test_books_that_lie_on_each_other_are_no_cover() -> None:
    stack = lines(("THE QUIET HARBOUR", 100, 60), ("WINTER LIGHT", 220, 60), ("MARGARET ELLIS", 340, 60))
    assert cover_of(stack, BARE, SIZE, ENGLISH) is not None
    spines = edges(*((50, y, 950, y) for y in (70, 190, 310, 430)))
    assert cover_of(stack, spines, SIZE, ENGLISH) is None
