"""What holds of matching and normalising whatever is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.bibliography.matching import (
    TITLE_MATCHES,
    alike,
    author_likeness,
    person_likeness,
    same_book,
    same_people,
    same_title,
    same_volume,
    title_likeness,
)
from shelfwire.books.bibliography.text import text_key, words
from shelfwire.books.bibliography.titles import WrittenBook, is_retelling, name_of, title_of, written
from shelfwire.safe_text import safe_line

PIECES = "The|Henry|IV|V|II|Part|Two|2|Volume|Vol.|:|(|)|edition|or,|A Novel|C++|C#|[#3]|Emma|Gemma|X|summary|北京|背景"
TITLES = st.text(st.characters(codec="utf-8"), max_size=60) | st.lists(
    st.sampled_from(PIECES.split("|")),
    max_size=8,
).map(" ".join)
NAMES = st.lists(
    st.sampled_from(["J.", "R", "JRR", "Tolkien", "van", "Gogh", "Vincent", "Ursula", "Le", "Guin", "", "Фёдор"]),
    max_size=4,
).map(" ".join) | st.text(max_size=20)
BOOKS = st.builds(written, TITLES, st.lists(NAMES, max_size=3))


@given(BOOKS, BOOKS)
def test_whether_two_books_are_one_does_not_depend_on_which_is_asked_for(one: WrittenBook, other: WrittenBook) -> None:
    assert same_book(one, other) == same_book(other, one)


@given(TITLES.filter(words), st.lists(NAMES, max_size=3))
def test_a_book_is_itself(title: str, authors: list[str]) -> None:
    assert same_book(written(title, authors), written(title, authors))
    assert same_title(title, title)
    assert same_volume(title, title)


@given(TITLES, TITLES)
def test_titles_of_one_volume_are_so_either_way_round(one: str, other: str) -> None:
    assert same_volume(one, other) == same_volume(other, one)
    assert same_title(one, other) == same_title(other, one)


@given(NAMES, NAMES)
def test_people_are_alike_either_way_round(one: str, other: str) -> None:
    assert person_likeness(words(one), words(other)) == person_likeness(words(other), words(one))
    assert same_people([one], [other]) == same_people([other], [one])
    assert not words(one) or same_people([one], [one])


@given(TITLES, TITLES)
def test_a_likeness_is_from_0_to_1(one: str, other: str) -> None:
    asked, known = (written(title, ()).names[0] for title in (one, other))
    assert 0 <= title_likeness(asked, known) <= 1
    assert alike(asked.title, known.title) == alike(known.title, asked.title)
    assert title_likeness(asked, asked) == 1 or not asked.title


@given(TITLES)
def test_what_was_normalised_stays_as_it_is(title: str) -> None:
    plain = words(title)
    assert words(" ".join(plain)) == plain
    assert text_key(text_key(title)) == text_key(title)
    assert safe_line(safe_line(title)) == safe_line(title)
    main, beside = title_of(title, None)
    assert title_of(main, None)[0] in (main, main.partition(" ")[2])
    assert words(beside) == beside.split()


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("J. R. R. Tolkien", "John Ronald Reuel Tolkien", 0.95, 1),
        ("Tolkien", "J.R.R. Tolkien", 0.85, 0.99),
        ("Austen Jane", "Jane Austen", 0.9, 1),
        ("Jane Austin", "Jane Austen", 0.85, 0.99),
        ("Zadie Smith", "Peter Smith", 0, 0.7),
        ("Anne Brontë", "Emily Brontë", 0, 0.75),
        ("", "Emily Brontë", 0, 0),
    ],
)
def test_names_are_alike_as_people_are(one: str, other: str, least: float, most: float) -> None:
    assert least <= person_likeness(words(one), words(other)) <= most
    assert least <= person_likeness(words(other), words(one)) <= most


def test_where_a_side_names_nobody_there_is_nothing_to_compare() -> None:
    assert author_likeness("", "jane austen") is None
    assert author_likeness("jane austen", "") is None
    assert author_likeness("jane austen", "someone|jane austen") == 1
    assert alike("pride and prejudice", "prideandprejudice") == 1


def test_a_misspelt_title_matches_although_it_leaves_the_subtitle_out_but_less_than_a_whole_one() -> None:
    known = name_of("Pride and Prejudice", "The Comedy of the Five Sisters", ())
    asked = [name_of(title, None, ()) for title in ("Prde and Prejudise", "Pride and Prejudice")]
    misspelt, plain = (title_likeness(name, known) for name in asked)
    assert TITLE_MATCHES <= misspelt < plain < title_likeness(known, known)


def test_a_title_alone_must_be_closer_than_one_with_its_author() -> None:
    for author, same in ((["Jane Austen"], True), ([], False)):
        assert same_book(written("Pride and Prejudlce by", author), written("Pride and Prejudice", author)) is same


@pytest.mark.parametrize(
    ("title", "beside", "retold"),
    [
        ("summary of dune", "", True),
        ("the hobbit", "a study guide", True),
        ("dune workbook", "", True),
        ("grammar", "a workbook", False),
        ("dune", "", False),
    ],
)
def test_a_summary_and_a_workbook_are_other_books(title: str, beside: str, retold: bool) -> None:  # noqa: FBT001
    assert is_retelling(title, beside) is retold
