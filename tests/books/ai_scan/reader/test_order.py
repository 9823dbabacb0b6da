"""In which order the books of a photo are named."""

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.ai_scan.reader.order import Extent, reading_order

numbers = st.floats(0, 1000)
extents = st.builds(lambda x, y, width, height: Extent(x, y, x + width, y + height), numbers, numbers, numbers, numbers)


def standing(left: float, top: float = 0, height: float = 300) -> Extent:
    return Extent(left, top, left + 40, top + height)


def test_books_that_stand_are_named_from_left_to_right_whatever_their_height() -> None:
    assert reading_order([standing(200), standing(0, 60, 240), standing(100, 30, 270)]) == [1, 2, 0]


def test_one_shelf_is_named_after_the_other() -> None:
    assert reading_order([standing(0, 500), standing(100), standing(0), standing(100, 480, 320)]) == [2, 1, 0, 3]


def test_a_stack_is_named_from_top_to_bottom() -> None:
    assert reading_order([Extent(0, 80, 300, 110), Extent(20, 0, 310, 30), Extent(10, 40, 290, 70)]) == [1, 2, 0]


def test_a_stack_beside_books_that_stand_is_named_where_it_lies() -> None:
    lying = [Extent(200, 200, 400, 230), Extent(200, 240, 400, 270)]
    assert reading_order([*lying, standing(0), standing(500)]) == [2, 0, 1, 3]


@given(found=st.lists(extents, max_size=30))
def test_every_book_is_named_once(found: list[Extent]) -> None:
    assert sorted(reading_order(found)) == list(range(len(found)))
