from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.batch_enrichment.matching import (
    ABOUT_EQUAL,
    THRESHOLD,
    TITLE_ALONE,
    Way,
    ranked,
    score_by_isbn,
    score_by_title,
)
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.records import BookRecord

ISBN = "9780441172719"
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
RECORDS = st.builds(
    BookRecord,
    title=WORDS,
    work_title=st.none() | WORDS,
    subtitle=st.none() | WORDS,
    authors=st.lists(WORDS, max_size=3).map(tuple),
    isbn13s=st.sampled_from([(), (ISBN,), ("9780000000002",)]),
)
ASKED = st.builds(AskedBook, title=WORDS, author=st.none() | WORDS, isbn13=st.just(ISBN))

SAME: list[tuple[str, str | None, str, Sequence[str]]] = [
    ("Dune", "Frank Herbert", "Dune", ["Frank Herbert"]),
    ("Dune", None, "Dune", ["Frank Herbert"]),
    ("Dune (Dune, #1)", "Herbert, Frank", "Dune", ["Frank Herbert"]),
    ("JANEAUSTEN", None, "Jane Austen", []),
    ("the fellowship of the ring", "JRR Tolkien", "The Fellowship of the Ring", ["J. R. R. Tolkien"]),
    ("The Fellowship of the Ring", "Tolkien", "The Fellowship of the Ring", ["John Ronald Reuel Tolkien"]),
    ("The Two Towers", "Tolkien", "The Lord of the Rings: The Two Towers", ["J.R.R. Tolkien"]),
    ("Emma", "Jane Austin", "Emma: A Novel", ["Jane Austen"]),
    ("Prde and Prejudice", "Jane Austen", "Pride and Prejudice", ["Jane Austen"]),
    ("Don Quixote", "Cervantes", "Don Quixote", ["Miguel de Cervantes Saavedra"]),
    ("Cien años de soledad", "García Márquez", "Cien anos de soledad", ["Gabriel Garcia Marquez"]),
    ("Good Omens", "Neil Gaiman & Terry Pratchett", "Good Omens", ["Terry Pratchett", "Neil Gaiman"]),
    ("Преступление и наказание", "Достоевский", "Преступление и наказание", ["Fyodor Dostoevsky"]),
    ("Crime & Punishment", "Dostoevsky", "Crime and Punishment", ["Fyodor Dostoyevsky"]),
    ("Henry IV, Part 1", "Shakespeare", "Henry IV, Part One", ["William Shakespeare"]),
    ("The Complete Short Stories, Volume 2", "Asimov", "The Complete Short Stories: Volume II", ["Isaac Asimov"]),
    ("The Two Towers", "Tolkien", "The Two Towers (The Lord of the Rings, #2)", ["J. R. R. Tolkien"]),
    ("The Two Towers (The Lord of the Rings, #2)", "Tolkien", "The Two Towers", ["J. R. R. Tolkien"]),
    ("The King and I", None, "The King and I", []),
    ("Summary of Atomic Habits", None, "Summary of Atomic Habits", []),
]
OTHERS: list[tuple[str, str | None, str, Sequence[str]]] = [
    ("Emma", "Jane Austen", "Emma", ["Kate Brown"]),
    ("It", "Stephen King", "It Ends with Us", ["Colleen Hoover"]),
    ("Dune Messiah", "Frank Herbert", "Dune", ["Frank Herbert"]),
    ("Dune: Messiah", "Frank Herbert", "Dune", ["Frank Herbert"]),
    ("Foundation", "Isaac Asimov", "Foundation and Empire", ["Isaac Asimov"]),
    ("1Q84 Book 1", "Haruki Murakami", "1Q84 Book 2", ["Haruki Murakami"]),
    ("The Hunt", None, "The Hut", ["Somebody"]),
    ("Harry Potter and the Goblet of Fire", "Rowling", "Harry Potter and the Order of the Phoenix", ["J. K. Rowling"]),
    ("Murder on the Links", "Agatha Christie", "Murder on the Orient Express", ["Agatha Christie"]),
    ("A Court of Thorns and Roses", "Maas", "A Court of Mist and Fury", ["Sarah J. Maas"]),
    ("Cosmos", "Carl Sagan", "Cosmos", ["Witold Gombrowicz"]),
    ("The Goblet of Fire", "Ayn Rand", "The Goblet of Fire", ["J. K. Rowling", "Mary GrandPré"]),
    ("Treaties", "Ayn Rand", "Treaties", ["Rand McNally"]),
    ("Poems", "John Smith", "Poems", ["Adam Smith"]),
    ("Henry V", "William Shakespeare", "Henry VI", ["William Shakespeare"]),
    ("Henry IV, Part One", "William Shakespeare", "Henry IV, Part Two", ["William Shakespeare"]),
    ("The Complete Sherlock Holmes, Volume I", "Doyle", "The Complete Sherlock Holmes, Volume II", ["A. Conan Doyle"]),
    ("Fables, Vol. IX", "Bill Willingham", "Fables, Vol. X", ["Bill Willingham"]),
    ("The Collected Stories", "Isaac Asimov", "The Collected Stories 2", ["Isaac Asimov"]),
    ("The Complete Short Stories Volume 2", "Asimov", "The Complete Short Stories", ["Isaac Asimov"]),
    ("The 7 Habits of Highly Effective People", None, "Summary of The 7 Habits of Highly Effective People", []),
    ("The 7 Habits of Highly Effective People", "Covey", "The 7 Habits of Highly Effective People Workbook", ["Covey"]),
    ("The Hobbit", "Tolkien", "The Hobbit: Abridged", ["J. R. R. Tolkien"]),
    ("The Russia House", None, "A Russian Journal", ["John Steinbeck"]),
]


def told(title: str, authors: Sequence[str] = (), **more: object) -> BookRecord:
    return BookRecord(title=title, authors=tuple(authors), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("title", "author", "told_title", "authors"), SAME)
def test_other_spellings_of_a_book_are_matches(
    title: str, author: str | None, told_title: str, authors: Sequence[str]
) -> None:
    assert score_by_title(AskedBook(title, author), told(told_title, authors)) >= THRESHOLD


@pytest.mark.parametrize(("title", "author", "told_title", "authors"), OTHERS)
def test_other_books_of_like_titles_are_candidates_at_most(
    title: str, author: str | None, told_title: str, authors: Sequence[str]
) -> None:
    assert score_by_title(AskedBook(title, author), told(told_title, authors)) < THRESHOLD


def test_a_title_may_hold_what_the_provider_calls_the_subtitle() -> None:
    record = told("Sapiens", ["Yuval Noah Harari"], subtitle="A Brief History of Humankind")
    for title in ("Sapiens", "Sapiens: A Brief History of Humankind"):
        assert score_by_title(AskedBook(title, "Harari"), record) > 0.9


def test_a_study_guide_says_below_its_title_that_it_is_another_book_and_one_with_exercises_is_the_same() -> None:
    asked = AskedBook("The Hobbit", "Tolkien")
    assert score_by_title(asked, told("The Hobbit", ["J. R. R. Tolkien"], subtitle="A Study Guide")) < THRESHOLD
    assert score_by_title(asked, told("The Hobbit", ["J. R. R. Tolkien"], subtitle="A Workbook")) > 0.9


def test_a_translation_is_found_by_the_title_of_its_edition_or_of_its_work() -> None:
    record = told("The Trial", ["Franz Kafka"], work_title="Der Prozess")
    for title in ("The Trial", "Der Prozess"):
        assert score_by_title(AskedBook(title, "Kafka"), record) > 0.9


def test_found_by_isbn_the_book_is_surer_than_found_by_title() -> None:
    record = told("Dune", ["Frank Herbert"], isbn13s=(ISBN,))
    by_isbn = score_by_isbn(AskedBook("Dune", None, ISBN), record)
    assert by_isbn == 1.0 > score_by_title(AskedBook("Dune"), record) == TITLE_ALONE


def test_an_isbn_that_leads_to_a_book_of_another_title_is_no_match() -> None:
    record = told("Emma", ["Jane Austen"], isbn13s=(ISBN,))
    assert score_by_isbn(AskedBook("Dune", "Frank Herbert", ISBN), record) < THRESHOLD


def test_an_isbn_with_the_right_author_may_have_a_title_in_another_language() -> None:
    record = told("Der Wüstenplanet", ["Frank Herbert"], isbn13s=(ISBN,))
    assert score_by_isbn(AskedBook("Dune", "Frank Herbert", ISBN), record) >= THRESHOLD


def test_a_provider_that_answers_with_a_book_of_another_isbn_is_believed_no_more_than_a_search() -> None:
    asked = AskedBook("Dune", "Frank Herbert", ISBN)
    other = told("Dune", ["Frank Herbert"], isbn13s=("9780450011849",))
    assert THRESHOLD <= score_by_isbn(asked, other) < score_by_isbn(asked, told("Dune", ["Frank Herbert"]))
    assert score_by_isbn(asked, told("Emma", ["Jane Austen"], isbn13s=("9780450011849",))) < THRESHOLD


def test_where_the_title_is_the_isbn_itself_the_isbn_is_enough() -> None:
    assert score_by_isbn(AskedBook(ISBN, None, ISBN), told("Dune", isbn13s=(ISBN,))) >= THRESHOLD


def test_a_title_that_several_authors_have_used_is_less_sure_without_the_author() -> None:
    records = [told("Cosmos", ["Carl Sagan"]), told("Cosmos", ["Witold Gombrowicz"])]
    alone = ranked(AskedBook("Cosmos"), "p", records[:1], Way.TITLE)
    shared = ranked(AskedBook("Cosmos"), "p", records, Way.TITLE)
    assert shared[0].score < alone[0].score
    assert ranked(AskedBook("Cosmos", "Sagan"), "p", records, Way.TITLE)[0].score > alone[0].score


def test_a_record_that_names_nobody_is_never_surely_the_book_of_somebody() -> None:
    nobody = told("Capitalism and Freedom")
    assert score_by_title(AskedBook("Capitalism and Freedom", "Ayn Rand"), nobody) < THRESHOLD
    assert score_by_title(AskedBook("Capitalism and Freedom"), nobody) >= THRESHOLD
    assert score_by_title(AskedBook("Capitalism and Freedom", "Unknown"), nobody) >= THRESHOLD
    by_isbn = AskedBook("Capitalism and Freedom", "Milton Friedman", ISBN)
    assert score_by_isbn(by_isbn, told("Capitalism and Freedom", isbn13s=(ISBN,))) >= THRESHOLD


def test_a_copy_that_somebody_typed_in_does_not_beat_the_work_that_everybody_has() -> None:
    main = told("Frankenstein", ["Mary Shelley"], editions=900, published="1818", subjects=("Fiction",))
    copies = [told("Frankenstein", ["Mary Wollstonecraft Shelley"], editions=1) for _ in range(3)]
    asked = AskedBook("Frankenstein", "Mary Wollstonecraft Shelley")
    scores = [score_by_title(asked, record) for record in (copies[0], main)]
    assert scores[0] > scores[1], "by the score alone the copy would be first"
    assert ranked(asked, "p", [*copies, main], Way.TITLE)[0].record is main


def test_fields_count_where_nothing_is_said_of_editions() -> None:
    bare = told("Dune", ["Frank Herbert"])
    full = told("Dune", ["F. Herbert"], isbn13s=(ISBN,), publisher="Ace", published="1965", pages=412)
    asked = AskedBook("Dune", "Frank Herbert")
    assert ranked(asked, "p", [bare, full], Way.TITLE)[0].record is full


def test_no_number_of_editions_makes_another_book_the_one_that_was_asked_for() -> None:
    right = told("Dune Messiah", ["Frank Herbert"], editions=1)
    famous = told("Dune", ["Frank Herbert"], editions=1000, isbn13s=(ISBN,))
    assert ranked(AskedBook("Dune Messiah", "Frank Herbert"), "p", [famous, right], Way.TITLE)[0].record is right


def test_a_volume_is_not_given_up_for_the_whole_that_has_more_editions() -> None:
    volume = told("The Lord of the Rings: The Two Towers", ["J. R. R. Tolkien"], editions=2)
    whole = told(
        "The Lord of the Rings", ["J. R. R. Tolkien"], editions=120, subtitle="The Two Towers", isbn13s=(ISBN,)
    )
    matches = ranked(AskedBook("The Two Towers", "Tolkien"), "p", [volume, whole], Way.TITLE)
    assert matches[0].score == matches[1].score
    assert matches[0].record is volume


def test_of_equally_good_records_the_providers_own_favourite_comes_first() -> None:
    records = [told("Dune", ["Frank Herbert"], publisher=name) for name in ("Ace", "Gollancz")]
    matches = ranked(AskedBook("Dune", "Frank Herbert"), "p", [told("Emma"), *records], Way.TITLE)
    assert [match.record.publisher for match in matches] == ["Ace", "Gollancz", None]


@given(ASKED, RECORDS)
def test_a_score_is_from_0_to_1_whatever_is_compared(asked: AskedBook, record: BookRecord) -> None:
    assert 0 <= score_by_title(asked, record) <= 1
    assert 0 <= score_by_isbn(asked, record) <= 1


@given(WORDS, WORDS)
def test_a_book_is_itself(title: str, author: str) -> None:
    assert score_by_title(AskedBook(title, None, ISBN), told(title, [author])) >= THRESHOLD
    assert score_by_isbn(AskedBook(title, None, ISBN), told(title, [author], isbn13s=(ISBN,))) >= THRESHOLD


@given(ASKED, st.lists(RECORDS, max_size=5), st.sampled_from(Way))
def test_the_best_is_first_and_nothing_is_lost(asked: AskedBook, records: list[BookRecord], way: Way) -> None:
    matches = ranked(asked, "p", records, way)
    scores = [match.score for match in matches]
    assert len(matches) == len(records)
    if matches and max(scores) < THRESHOLD:
        assert scores == sorted(scores, reverse=True)
    elif matches:
        assert scores[0] >= max(scores) - ABOUT_EQUAL
        assert matches[0].is_sure
