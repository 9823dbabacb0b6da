# ruff: noqa: RUF001 - scripts that look like others are among what is tried
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.safe_text import safe, safe_cell, safe_line, text_of_cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a [31mb"),
        ("a\r\n\tb", "a b"),
        ("\u202eevil", "evil"),
        ("猫　犬", "猫　犬"),
        ("Har\u00adry\u200b Pot\ufeffter", "Harry Potter"),
        ("half of \ud83d a pair", "half of   a pair"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_a_line_has_nothing_that_moves_a_cursor_turns_it_around_or_cannot_be_seen(text: str, shown: str) -> None:
    assert safe_line(text) == shown


def test_lines_stay_lines_where_several_are_allowed() -> None:
    assert safe("one\x00\n\ntwo\u2028three") == "one \n\ntwo three"


@given(st.text())
def test_safe_text_can_always_be_encoded_and_stays_as_it_is(text: str) -> None:
    safe(text).encode()
    assert safe(safe(text)) == safe(text)
    assert safe_line(safe_line(text)) == safe_line(text)


@given(st.text(st.sampled_from("'=+-@\t\r\n1.a ")))
def test_a_cell_starts_no_formula_and_is_read_again_as_it_was(text: str) -> None:
    cell = safe_cell(text)
    assert text_of_cell(cell) == text
    assert cell[:1] not in set("=@\t\r\n")
    assert cell[:1] not in {"+", "-"} or float(cell) == float(text)
