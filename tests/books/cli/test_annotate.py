"""Numbers on photos of shelves."""

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.cli.annotate import Box, clear_of

boxes = st.builds(
    lambda left, top, width: (left, top, left + width, top + 20),
    st.integers(0, 300),
    st.integers(200, 400),
    st.integers(8, 40),
)


def hides(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(wanted=st.lists(boxes, max_size=20))
def test_no_number_hides_another_as_long_as_there_is_room_above(wanted: list[Box]) -> None:
    placed: list[Box] = []
    for box in wanted:
        label = clear_of(placed, box)
        assert label == box or not any(hides(label, other) for other in placed)
        assert label[1] >= 0
        placed.append(label)


def test_a_number_whose_place_is_taken_stands_above_the_other() -> None:
    assert clear_of([(10, 100, 40, 120)], (20, 105, 50, 125)) == (20, 79, 50, 99)
