import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

import numpy as np
from numpy.typing import NDArray

from shelfwire.books.ai_scan.ipc import LIKELY
from shelfwire.books.ai_scan.reader.edges import Edges, covered
from shelfwire.books.ai_scan.reader.geometry import turned, turned_points
from shelfwire.books.ai_scan.reader.lines import Line, distinct
from shelfwire.books.ai_scan.reader.shelf import books_of
from shelfwire.books.ai_scan.reader.spine_text import SpineContent
from shelfwire.books.ai_scan.reader.spines import joined, spines_of

SIZE = (1000, 1000)
NONE: NDArray[np.float32] = np.empty((0, 4), np.float32)


def line(text: str, left: float, top: float, height: float = 30, score: float = 0.99) -> Line:
    """A line that runs from left to right."""
    right = left + height * 0.6 * len(text)
    corners = [[left, top], [right, top], [right, top + height], [left, top + height]]
    return Line(text, score, np.array(corners, np.float32), 0)


def across(text: str, left: float, top: float, height: float = 20) -> Line:
    """A line that runs downwards, as is the custom for spines."""
    bottom = top + height * 0.6 * len(text)
    corners = [[left + height, top], [left + height, bottom], [left, bottom], [left, top]]
    return Line(text, 0.99, np.array(corners, np.float32), 1)


def edges(
    *along: tuple[float, float, float, float], boards: tuple[tuple[float, float, float, float], ...] = ()
) -> Edges:
    return Edges(
        np.array(along, np.float32).reshape(-1, 4),
        np.array(boards, np.float32).reshape(-1, 4),
    )


def texts(lines: list[Line], seen: Edges) -> set[frozenset[str]]:
    return {frozenset(line.text for line in group.lines) for group in spines_of(lines, seen, SIZE)}


def likely(lines: list[Line], seen: Edges) -> list[SpineContent]:
    """The books that need no catalogue."""
    return [book for book in books_of(lines, seen, SIZE) if book.confidence >= LIKELY]


TWO_SPINES = edges((50, 90, 900, 90), (50, 140, 900, 140), (50, 190, 900, 190))


def test_an_edge_parts_lines_above_each_other() -> None:
    lines = [line("UPPER TITLE", 100, 100), line("LOWER TITLE", 100, 150)]
    assert texts(lines, TWO_SPINES) == {frozenset({"UPPER TITLE"}), frozenset({"LOWER TITLE"})}


def test_lines_above_each_other_without_an_edge_are_one_spine() -> None:
    lines = [line("FIRST LINE", 100, 100), line("SECOND LINE", 100, 132)]
    assert texts(lines, edges((50, 90, 900, 90), (50, 170, 900, 170))) == {frozenset({"FIRST LINE", "SECOND LINE"})}


def test_lines_far_above_each_other_are_two_spines_even_if_no_edge_is_seen() -> None:
    lines = [line("FIRST BOOK", 100, 100), line("SECOND BOOK", 100, 160)]
    assert texts(lines, edges()) == {frozenset({"FIRST BOOK"}), frozenset({"SECOND BOOK"})}


def test_lines_beside_each_other_are_one_spine() -> None:
    lines = [line("A TITLE", 100, 100), line("Somebody", 500, 100)]
    assert texts(lines, TWO_SPINES) == {frozenset({"A TITLE", "Somebody"})}


def test_a_board_parts_lines_beside_each_other() -> None:
    lines = [line("A TITLE", 100, 100), line("ANOTHER", 500, 100)]
    seen = edges((50, 90, 900, 90), (50, 140, 900, 140), boards=((400, 20, 400, 300),))
    assert texts(lines, seen) == {frozenset({"A TITLE"}), frozenset({"ANOTHER"})}


def test_a_rule_no_longer_than_the_spine_is_thick_parts_nothing() -> None:
    lines = [line("A TITLE", 100, 100), line("Somebody", 500, 100)]
    seen = edges((50, 90, 900, 90), (50, 140, 900, 140), boards=((400, 92, 400, 138),))
    assert texts(lines, seen) == {frozenset({"A TITLE", "Somebody"})}


def test_a_name_across_a_spine_belongs_to_it() -> None:
    lines = [line("A LONG TITLE", 200, 105), across("WHO", 120, 98)]
    assert texts(lines, TWO_SPINES) == {frozenset({"A LONG TITLE", "WHO"})}


def test_a_book_that_stands_beside_lying_ones_is_none_of_them() -> None:
    lines = [line("A LONG TITLE", 200, 105), across("A STANDING BOOK", 120, 50)]
    assert texts(lines, TWO_SPINES) == {frozenset({"A LONG TITLE"}), frozenset({"A STANDING BOOK"})}


def test_leaning_spines_are_followed() -> None:
    slope = 0.15
    lines = [_leaning("A TITLE THAT LEANS", 100, 100, slope), _leaning("ITS AUTHOR", 600, 100 + 500 * slope, slope)]
    upper, lower = (50, 80.0, 950, 80 + 900 * slope), (50, 140.0, 950, 140 + 900 * slope)
    assert texts(lines, edges(upper, lower)) == {frozenset({"A TITLE THAT LEANS", "ITS AUTHOR"})}


def _leaning(text: str, left: float, top: float, slope: float) -> Line:
    flat = line(text, left, top)
    quad = flat.quad.copy()
    quad[:, 1] += slope * (quad[:, 0] - left)
    return Line(text, 0.99, quad, 0)


def test_books_have_title_authors_and_where_they_were_read() -> None:
    lines = [line("THE SHALLOWS", 100, 100, 34), line("Nicholas Carr", 500, 102)]
    (book,) = likely(lines, TWO_SPINES)
    assert (book.title, book.authors) == ("THE SHALLOWS", ("Nicholas Carr",))
    assert 0.9 < book.confidence <= 1


def test_upside_down_spines_are_read_from_their_own_left() -> None:
    lines = [line("THE SHALLOWS", 100, 100, 34), line("Nicholas Carr", 500, 102)]
    flipped = [Line(one.text, one.score, turned_points(one.quad, 2, SIZE), 2) for one in lines]
    (book,) = likely(flipped, TWO_SPINES.turned(2, SIZE))
    assert (book.title, book.authors) == ("THE SHALLOWS", ("Nicholas Carr",))


def test_small_text_beside_large_titles_is_no_book() -> None:
    lines = [line("THE SHALLOWS", 100, 96, 40), line("Nicholas Carr", 500, 102), line("wander", 100, 400, 12)]
    assert [book.title for book in likely(lines, TWO_SPINES)] == ["THE SHALLOWS"]


def test_text_without_any_edge_and_without_an_author_is_no_book() -> None:
    assert likely([line("WE CAN RULE THE GALAXY", 100, 100)], edges()) == []


def test_a_name_alone_is_no_book() -> None:
    assert likely([line("Jordan B. Peterson", 100, 100)], TWO_SPINES) == []


def test_ornaments_read_as_chinese_are_left_out_where_little_is_chinese() -> None:
    ornament = line("\N{CJK UNIFIED IDEOGRAPH-4E09}\N{CJK UNIFIED IDEOGRAPH-547D}", 800, 100)
    lines = [line("THE SHALLOWS", 100, 100), line("Nicholas Carr", 500, 100), ornament]
    (book,) = likely(lines, TWO_SPINES)
    assert {one.text for one in book.group.lines} == {"THE SHALLOWS", "Nicholas Carr"}


def test_boxes_without_a_single_name_are_no_books() -> None:
    lines = [line("BELGIAN CHOCOLATE", 100, 100), line("BISCUITS WITH NUTS", 100, 150)]
    assert likely(lines, TWO_SPINES) == []


def test_a_title_whose_author_could_not_be_read_is_a_book_among_others() -> None:
    lines = [line("THE SHALLOWS", 100, 100), line("Nicholas Carr", 500, 100), line("ATOMIC HABITS", 100, 150)]
    assert {book.title for book in likely(lines, TWO_SPINES)} == {"THE SHALLOWS", "ATOMIC HABITS"}


def test_no_lines_are_no_books() -> None:
    assert likely([], Edges(NONE, NONE)) == []


def test_of_two_readings_of_one_place_the_better_one_is_kept() -> None:
    good, bad = line("MONEYBALL", 100, 100), line("M0NEYBA", 100, 102, score=0.6)
    assert distinct([bad, good]) == [good]


def test_coverage_counts_overlaps_once() -> None:
    intervals = np.array([[0, 4], [2, 5], [8, 20]], np.float32)
    assert covered(intervals, 0, 10) == pytest.approx(0.7)
    assert covered(np.empty((0, 2), np.float32), 0, 10) == 0


def test_sets_are_joined_through_others() -> None:
    assert joined([1, 2, 3, 10], lambda one, other: abs(one - other) == 1) == [[1, 2, 3], [10]]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_points_go_where_their_pixels_go(quarters: int) -> None:
    image = np.zeros((4, 7, 3), np.uint8)
    image[1, 5] = 255
    (y,), (x,) = np.nonzero(turned(image, quarters)[:, :, 0])
    centre = turned_points(np.array([5.5, 1.5], np.float32), quarters, (7, 4))
    assert tuple(centre) == (x + 0.5, y + 0.5)


def test_a_book_whose_title_the_edge_of_the_photo_cuts_off_needs_a_catalogue() -> None:
    whole = [line("THE SHALLOWS", 100, 100), line("Nicholas Carr", 500, 100)]
    assert len(likely(whole, TWO_SPINES)) == 1
    assert likely([line("THE SHALLOWS", 2, 100), whole[1]], TWO_SPINES) == []
    assert len(books_of([line("THE SHALLOWS", 2, 100), whole[1]], TWO_SPINES, SIZE)) == 1


def test_a_film_with_its_kind_in_the_place_of_an_author_is_no_book() -> None:
    spines = [line("THE SHALLOWS", 100, 100), line("Nicholas Carr", 500, 100)]
    films = [line("THE LONG RUN", 100, 150), line("DVD VIDEO", 600, 155, 18)]
    assert [book.title for book in likely([*spines, *films], TWO_SPINES)] == ["THE SHALLOWS"]


def test_a_shelf_in_japanese_is_one_although_no_name_on_it_is_known() -> None:
    spines = [(100, "吾輩は猫である", "夏目漱石"), (150, "銀河鉄道の夜", "宮沢賢治"), (200, "羅生門", "芥川龍之介")]
    edged = edges(*((50, y, 900, y) for y in (90, 140, 190, 240)))
    lines = [one for top, title, name in spines for one in (line(title, 100, top), line(name, 600, top + 2, 24))]
    assert len(likely(lines, edged)) == 3
