"""Every pair of the table, wherever books are compared."""

import pytest

from shelfwire.books.ai_scan.confirming import enriched
from shelfwire.books.ai_scan.ipc import DetectedBook
from shelfwire.books.ai_scan.scanned_books import merged, scanned
from shelfwire.books.batch_enrichment.matching import THRESHOLD, Way, score_by_title
from shelfwire.books.batch_enrichment.merging import EnrichedBook, MatchInfo
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.matching import same_book
from shelfwire.books.bibliography.people import authors_of_any_list
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.bibliography.titles import title_key, written
from shelfwire.books.catalogue import Catalogue
from shelfwire.books.csv_import.duplicates import SeenBooks
from shelfwire.books.csv_import.imported_book import ImportedBook
from tests.books.catalogue.conftest import built
from tests.books.catalogue.dumps import author, work, write

from .pairs import AUTHOR, OTHERS, PAIRS, Pair, Side


def shown(pair: Pair) -> str:
    return f"{pair.one.title}, {pair.one.author} {'=' if pair.same else 'is not'} {pair.other.title}"


every = pytest.mark.parametrize("pair", PAIRS, ids=shown)


def people(side: Side) -> tuple[str, ...]:
    return authors_of_any_list(side.author)


@every
def test_two_books_are_the_same_as_the_table_says(pair: Pair) -> None:
    one, other = (written(side.title, people(side)) for side in (pair.one, pair.other))
    assert same_book(one, other) == same_book(other, one) == pair.same


@every
def test_a_provider_that_knows_one_matches_the_other_as_the_table_says(pair: Pair) -> None:
    record = BookRecord(title=pair.other.title, authors=people(pair.other))
    assert (score_by_title(AskedBook(*pair.one), record) >= THRESHOLD) == pair.same


@every
def test_two_photos_show_one_book_or_two_as_the_table_says(pair: Pair) -> None:
    spines = [
        DetectedBook(title=side.title, authors=people(side), confidence=0.9, polygon=(), text=side.title)
        for side in (pair.one, pair.other)
    ]
    assert len(merged([scanned(spine, photo, None) for photo, spine in enumerate(spines)])) == (1 if pair.same else 2)


@every
def test_what_a_provider_says_of_a_spine_is_believed_as_the_table_says(pair: Pair) -> None:
    spine = DetectedBook(title=pair.one.title, authors=people(pair.one), confidence=0.9, polygon=(), text="")
    match = MatchInfo(by=Way.TITLE, score=1.0, provider="catalogue")
    known = EnrichedBook(index=0, title=pair.other.title, authors=people(pair.other), match=match)
    assert enriched(scanned(spine, 0, None), {"enriched": known}).review is not pair.same


@pytest.mark.parametrize("pair", OTHERS, ids=shown)
def test_rows_of_other_books_are_no_repetitions(pair: Pair) -> None:
    seen = SeenBooks()
    for row, side in enumerate((pair.one, pair.other), 2):
        seen.admit(ImportedBook(row=row, title=side.title, authors=people(side)))


def alone(number: int, side: Side) -> tuple[str, ...]:
    """The people of a side; where the table names none, somebody who wrote only the books of this pair."""
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}")
    return people(side) if side.author != AUTHOR else (f"Ada {letters * 3}",)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A catalogue that holds the second book of each pair."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = []
    for number, pair in enumerate(PAIRS):
        names = alone(number, pair.other)
        ids = [100 * number + place for place in range(1, len(names) + 1)]
        lines += [author(id_, name) for id_, name in zip(ids, names, strict=True)]
        lines += [work(number + 1, pair.other.title, ids)]
    built(folder / "books", write(folder / "dump.txt", *lines))
    return Catalogue(folder / "books")


@pytest.mark.parametrize(("number", "pair"), list(enumerate(PAIRS)), ids=[shown(pair) for pair in PAIRS])
def test_a_catalogue_that_holds_one_is_sure_of_the_other_as_the_table_says(
    catalogue: Catalogue, number: int, pair: Pair
) -> None:
    hits = catalogue.search(pair.one.title, ", ".join(alone(number, pair.one)), limit=40)
    sure = {title_key("".join((hit.book.title, *hit.book.authors))) for hit in hits if hit.is_sure}
    assert (title_key("".join((pair.other.title, *alone(number, pair.other)))) in sure) == pair.same, hits
