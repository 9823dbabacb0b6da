"""What a catalogue makes of the books that were read on a photo."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfwire.books.ai_scan.confirming import CONFIRMED, judged, unconfirmed
from shelfwire.books.ai_scan.ipc import DetectedBook, Reading
from shelfwire.books.catalogue import Catalogue
from tests.books.catalogue.conftest import built

Holding = Callable[..., Catalogue]
HERBERT, CARD = ("Frank Herbert",), ("Orson Scott Card",)


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    """Makes a catalogue of books, each as a title and an author."""

    def hold(*books: tuple[str, str]) -> Catalogue:
        with (tmp_path / "books.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("Title", "Author"), *books])
        built(tmp_path / "books", tmp_path / "books.csv")
        return Catalogue(tmp_path / "books")

    return hold


def read(
    title: str, authors: tuple[str, ...] = (), confidence: float = 0.9, text: str = "", others: tuple[Reading, ...] = ()
) -> DetectedBook:
    return DetectedBook(
        title=title,
        authors=authors,
        confidence=confidence,
        polygon=(),
        text=text or " | ".join((title, *authors)),
        readings=(Reading(title, authors), *others),
    )


def test_letters_that_were_misread_are_those_of_the_book(holding: Holding) -> None:
    [(book, known)] = judged(holding(("Dune Messiah", "Frank Herbert")), [read("DUNE MESSlAH", ("FRANK HERBEKT",))])
    assert known is not None
    assert (known.title, known.authors, known.sure) == ("Dune Messiah", HERBERT, True)
    assert book.confidence >= CONFIRMED


def test_a_title_taken_for_an_author_is_the_title_again(holding: Holding) -> None:
    swapped = read("CHOTJEWITZ", ("DANIEL HALF HUMAN",), others=(Reading("DANIEL HALF HUMAN", ("CHOTJEWITZ",)),))
    [(_, known)] = judged(holding(("Daniel Half Human", "David Chotjewitz")), [swapped])
    assert known is not None
    assert (known.title, known.sure) == ("Daniel Half Human", True)


@pytest.mark.parametrize(
    ("book", "held"),
    [
        (read("SNOW CRASH", ("NEAL STEPHENSON",), others=(Reading("CRASH", ("NEAL STEPHENSON",)),)), "Crash"),
        (read("THE RISE OF ENDYMION", ("DAN SIMMONS",), text="THE RISE OF | ENDYMION | SIMMONS | DAN"), "Endymion"),
        (read("EVERYBODY COOKS", ("SOUS VIDE", "PAT DOE"), others=(Reading("EVERYBODY", ("PAT DOE",)),)), "Everybody"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.title,
)
def test_a_book_that_explains_a_part_of_what_was_read_is_not_sure(
    holding: Holding, book: DetectedBook, held: str
) -> None:
    [(remaining, known)] = judged(holding((held, book.authors[-1].title())), [book])
    assert known is None or not known.sure
    assert remaining.title == book.title, "and what was read stays"


def test_a_title_that_a_catalogue_has_decides_which_words_are_the_title(holding: Holding) -> None:
    book = read("STAMPS", ("KIZZY ANN",), others=(Reading("KIZZY ANN STAMPS", ()),))
    [(remaining, known)] = judged(holding(("Kizzy Ann Stamps", "Somebody Else")), [book])
    assert (remaining.title, remaining.authors) == ("KIZZY ANN STAMPS", ())
    assert known is None or not known.sure, "the author was not read"


def test_what_is_unlikely_remains_only_if_the_catalogue_is_sure(holding: Holding) -> None:
    books = [read("ENDERS GAME", CARD, 0.1), read("PUBLISHED BY US", (), 0.1)]
    assert unconfirmed(books) == []
    [(book, known)] = judged(holding(("Ender's Game", "Orson Scott Card")), books)
    assert known is not None
    assert (book.title, known.sure) == ("ENDERS GAME", True)


def test_the_more_a_catalogue_knows_the_more_it_doubts_the_rest(holding: Holding) -> None:
    titles = ["Dune", "Emma", "Ulysses", "Beloved", "Persuasion", "Middlemarch"]
    books = [read(title, ("Ann Other",)) for title in titles]
    noise = read("PRINTED IN CHINA", (), 0.5)
    knows_all = holding(*((title, "Ann Other") for title in titles))
    assert [book.title for book, _ in judged(knows_all, [*books, noise])] == titles
    clear = read("Cosmos", ("Carl Sagan",), 0.95)
    assert len(judged(knows_all, [*books, clear])) == 7, "a clear book stays, known or not"


def test_a_catalogue_that_knows_none_of_the_books_changes_nothing(holding: Holding) -> None:
    books = [read("Dune", HERBERT, 0.45), read("Ender's Game", CARD, 0.9)]
    assert judged(holding(("Persuasion", "Jane Austen")), books) == unconfirmed(books)


def test_a_reader_that_weighs_no_readings_is_believed(holding: Holding) -> None:
    book = DetectedBook(title="Dune", authors=HERBERT, confidence=0.2, polygon=(), text="Dune")
    assert judged(holding(("Emma", "Jane Austen")), [book]) == unconfirmed([book])
    assert len(unconfirmed([book])) == 1
