# ruff: noqa: RUF001 - look-alike characters are what these tests are about
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.bibliography.text import text_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane Austen", "JANEAUSTEN"),
        ("Les Misérables", "les miserables"),
        ("Søren Kierkegaard", "Soren Kierkegaard"),
        ("Stanisław Łem", "Stanislaw Lem"),
        ("Straße", "STRASSE"),
        ("J.K. Rowling", "J. K. Rowling"),
        ("L’étranger", "L'Etranger"),
        ("ＤＵＮＥ", "Dune"),
    ],
)
def test_spellings_of_the_same_name_share_a_key(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1984", "+1984"), ("C", "C++"), ("???", "!!!"), ("かき", "がき"), ("心", "新"), ("…", "!")],
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)


@given(st.text(min_size=1).filter(str.strip))
def test_a_key_is_never_empty_and_is_its_own_key(text: str) -> None:
    key = text_key(text)
    assert key
    assert text_key(key) == text_key(text_key(key))
