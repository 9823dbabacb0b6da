"""Which book a spine is, by what was read on it, and when nobody has to look."""

import pytest

from shelfwire.books.catalogue import Catalogue

from .conftest import built
from .dumps import write
from .test_search import SHELF, lines_of

MORE = [
    ("A Small Town in Germany", "John le Carré"),
    ("John le Carré: The Biography", "Adam Sisman"),
    ("Jane Austen", "Carol Shields"),
    ("Dune", "Frank Herbert"),
    ("The Story of Art", "E. H. Gombrich"),
    ("Russia", "John le Carré"),
    ("It", "Stephen King"),
    ("Dance Dance Dance", "Haruki Murakami"),
    ("A Zoo in My Luggage", "Gerald Durrell"),
    ("A Connecticut Yankee in King Arthur's Court", "Mark Twain"),
]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("spines")
    built(folder / "books", write(folder / "dump.txt", *lines_of([*SHELF, *MORE])))
    return Catalogue(folder / "books")


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        (["EMMA", "JANE AUSTEN"], "Emma"),
        (["JANE AUSTEN", "EMMA", "PENGUIN CLASSICS"], "Emma"),
        (["JANEAUSTEN", "PRIDE AND PREJUDICE"], "Pride and Prejudice"),
        (["JANE AUSTEN PRIDE AND PREJUDICE"], "Pride and Prejudice"),
        (["PRIDE", "AND", "PREJUDICE", "AUSTEN"], "Pride and Prejudice"),
        (["PREJUDICE", "PRIDE AND", "JANE AUSTEN"], "Pride and Prejudice"),
        (["PRlDE AND PREJUD1CE", "JANE AU5TEN"], "Pride and Prejudice"),
        (["MIDDLEMARCHGEORGEELIOT"], "Middlemarch"),
        (["THE STORY OF ART", "E.H.GOMBRICH", "PHAIDON"], "The Story of Art"),
        (["DUNE", "FRANK HERBERT", "NEL"], "Dune"),
        (["A ZOO IN MY LUGGAGE", "Gerald Durrell", "2"], "A Zoo in My Luggage"),
        (["TWAIN", "A CONNECTICUT YANKEE IN KING ARTHUR'S COURT"], "A Connecticut Yankee in King Arthur's Court"),
        (["STEINBECK", "A RUSSIAN JOURNAL"], "A Russian Journal"),
        (["It", "STEPHEN KING"], "It"),
    ],
)
def test_a_spine_with_title_and_author_is_recognised_for_sure(shelf: Catalogue, lines: list[str], title: str) -> None:
    found = shelf.recognise(lines)
    assert found is not None
    assert (found.book.title, found.is_sure) == (title, True), found


@pytest.mark.parametrize(
    "lines",
    [
        ["THE RUSSIA HOUSE", "JOHN LE CARRE"],
        ["THE RUSSIA", "HOUSE", "JOHN LE CARRE", "CORONET"],
        ["JOHN LE CARRE"],
        ["JANE AUSTEN"],
        ["JANE AUSTEN", "PERSUASION"],
        ["DUNE MESSIAH", "FRANK HERBERT"],
        ["DUNE", "MESSIAH", "FRANK HERBERT"],
        ["CHILDREN OF DUNE", "FRANK HERBERT", "NEL"],
        ["SECOND FOUNDATION", "ISAAC ASIMOV"],
        ["EMMA", "PENGUIN CLASSICS"],
        ["POEMS", "WALT WHITMAN"],
        ["EMMA", "CHARLOTTE AUSTEN"],
        ["MONOPOLY", "THE FAST-DEALING PROPERTY TRADING GAME"],
        ["1984"],
        ["KING", "STEPHEN"],
    ],
)
def test_a_spine_of_another_book_or_of_half_a_book_is_never_sure(shelf: Catalogue, lines: list[str]) -> None:
    found = shelf.recognise(lines)
    assert found is None or not found.is_sure, found


@pytest.mark.parametrize("lines", [[], [""], ["???"], ["III"], ["x" * 5000], ["wholly unknown words"], ["\x00"]])
def test_what_is_no_book_is_none(shelf: Catalogue, lines: list[str]) -> None:
    assert shelf.recognise(lines) is None


def test_a_title_without_author_is_a_candidate_to_look_at(shelf: Catalogue) -> None:
    found = shelf.recognise(["PRIDE AND PREJUDICE"])
    assert found is not None
    assert (found.book.title, found.is_sure) == ("Pride and Prejudice", False)
