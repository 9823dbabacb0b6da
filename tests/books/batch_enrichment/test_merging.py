from itertools import permutations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.batch_enrichment.matching import Match, Way
from shelfwire.books.batch_enrichment.merging import EnrichedBook, is_complete, is_same_edition, merged
from shelfwire.books.bibliography.records import BookRecord

ISBN, OTHER = "9780441172719", "9780450011849"
FULL = BookRecord(
    title="Dune",
    authors=("Frank Herbert",),
    isbn13s=(ISBN,),
    publisher="Ace",
    published="1965-08-01",
    pages=412,
    language="en",
    subjects=("Fiction",),
    description="Sand.",
    cover_url="https://books.example/1.jpg",
    identifiers={"google": "abc"},
)


def match(provider: str, way: Way = Way.ISBN, **told: object) -> Match:
    record = BookRecord(**{"title": "Dune", "isbn13s": (ISBN,), **told})  # type: ignore[arg-type]
    return Match(provider, record, way, 0.9)


TEXTS = st.none() | st.sampled_from(["one", "two"])
MATCHES = st.lists(
    st.builds(
        Match,
        provider=st.sampled_from(["catalogue", "open_library", "google_books"]),
        record=st.builds(
            BookRecord,
            title=st.sampled_from(["Dune", "Dune Messiah"]),
            work_title=TEXTS,
            subtitle=TEXTS,
            authors=st.sampled_from([(), ("Frank Herbert",)]),
            isbn13s=st.sampled_from([(), (ISBN,), (OTHER,), (OTHER, ISBN)]),
            publisher=TEXTS,
            published=st.sampled_from([None, "1965", "1965-08", "1984-01-02"]),
            pages=st.none() | st.integers(1, 900),
            language=TEXTS,
            subjects=st.sampled_from([(), ("Fiction",)]),
            description=TEXTS,
            cover_url=TEXTS,
            identifiers=st.dictionaries(st.sampled_from(["google", "openlibrary"]), st.sampled_from(["1", "2"])),
            is_edition=st.booleans(),
        ),
        way=st.sampled_from(Way),
        score=st.floats(0.75, 1),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda match: match.provider,
)


def test_one_answer_is_the_result_with_its_source_for_each_field() -> None:
    book = merged(4, [Match("google_books", FULL, Way.ISBN, 1.0)], ISBN)
    told = msgspec.to_builtins(book)
    assert told["index"] == 4
    assert told["match"] == {"by": "isbn", "score": 1.0, "provider": "google_books"}
    assert (told["isbn13"], told["isbn10"]) == (ISBN, "0441172717")
    assert set(told["sources"]) == set(told) - {"index", "match", "identifiers", "sources"}
    assert set(told["sources"].values()) == {"google_books"}


def test_what_the_first_leaves_out_is_filled_in_from_the_next() -> None:
    book = merged(0, [match("open_library", publisher="Ace"), match("google_books", publisher="X", pages=412)])
    assert (book.publisher, book.pages) == ("Ace", 412)
    assert (book.sources["publisher"], book.sources["pages"]) == ("open_library", "google_books")


def test_a_match_by_isbn_is_the_base_before_one_by_title_whatever_the_order() -> None:
    by_title = match("open_library", Way.TITLE, title="Dune (new)", publisher="Other")
    by_isbn = match("google_books", publisher="Ace")
    book = merged(0, [by_title, by_isbn])
    assert (book.title, book.publisher, book.match.provider) == ("Dune", "Ace", "google_books")


def test_an_edition_is_the_base_before_a_work() -> None:
    work = match("open_library", Way.TITLE, is_edition=False, published="1965", subjects=("Fiction",))
    edition = match("google_books", Way.TITLE, published="2010-01-01")
    book = merged(0, [work, edition])
    assert (book.published_date, book.subjects) == ("2010-01-01", ("Fiction",))


def test_another_edition_fills_in_what_belongs_to_the_work_and_nothing_of_the_edition() -> None:
    other = match(
        "google_books",
        Way.TITLE,
        isbn13s=(OTHER,),
        pages=600,
        publisher="Gollancz",
        language="de",
        description="Sand.",
        cover_url="https://books.example/2.jpg",
    )
    book = merged(0, [match("open_library", Way.TITLE), other])
    assert (book.pages, book.publisher, book.language) == (None, None, None)
    assert (book.description, book.cover_url) == ("Sand.", "https://books.example/2.jpg")


def test_a_date_known_in_part_is_replaced_by_a_fuller_one_of_the_same_edition_that_agrees() -> None:
    base = match("open_library", published="1965")
    assert merged(0, [base, match("google_books", published="1965-08-01")]).published_date == "1965-08-01"
    assert merged(0, [base, match("google_books", published="1984-08-01")]).published_date == "1965"
    other = match("google_books", Way.TITLE, isbn13s=(OTHER,), published="1965-08-01")
    assert merged(0, [base, other]).published_date == "1965"


def test_the_identifiers_of_all_are_kept_and_the_first_wins() -> None:
    one = match("open_library", identifiers={"openlibrary": "OL1M", "goodreads": "1"})
    two = match("google_books", identifiers={"google": "abc", "goodreads": "2"})
    assert merged(0, [one, two]).identifiers == {"openlibrary": "OL1M", "goodreads": "1", "google": "abc"}


def test_the_isbn_is_the_one_that_was_asked_for_where_it_found_the_book() -> None:
    base = match("google_books", isbn13s=(OTHER, ISBN))
    assert merged(0, [base], ISBN).isbn13 == ISBN
    by_title = match("google_books", Way.TITLE, isbn13s=(OTHER,))
    assert merged(0, [by_title], ISBN).isbn13 == OTHER


def test_what_was_found_by_the_same_isbn_is_another_edition_if_its_own_numbers_are_others() -> None:
    base = match("open_library", publisher="Ace")
    other = match("google_books", isbn13s=(OTHER,), pages=600)
    assert not is_same_edition(base, other)
    assert merged(0, [base, other], ISBN).pages is None
    assert merged(0, [other], ISBN).isbn13 == OTHER


def test_a_work_gives_its_isbn_only_if_there_is_no_other() -> None:
    assert merged(0, [match("p", Way.TITLE, is_edition=False, isbn13s=(ISBN, OTHER))]).isbn13 is None
    assert merged(0, [match("p", Way.TITLE, is_edition=False)]).isbn13 == ISBN


def test_a_number_that_begins_with_979_has_no_isbn_10() -> None:
    book = merged(0, [match("google_books", Way.TITLE, isbn13s=("9791032305690",))])
    assert (book.isbn13, book.isbn10) == ("9791032305690", None)
    assert "isbn10" not in msgspec.to_builtins(book)


def test_the_work_is_named_only_where_it_is_called_otherwise() -> None:
    assert merged(0, [match("p", work_title="Dune")]).work_title is None
    assert merged(0, [match("p", title="Der Wüstenplanet", work_title="Dune")]).work_title == "Dune"


def test_a_book_is_complete_when_nothing_that_is_wanted_is_missing() -> None:
    assert is_complete([Match("p", FULL, Way.ISBN, 1.0)])
    for field in ("authors", "isbn13s", "publisher", "published", "pages", "language", "description", "cover_url"):
        empty = () if isinstance(getattr(FULL, field), tuple) else None
        assert not is_complete([Match("p", msgspec.structs.replace(FULL, **{field: empty}), Way.ISBN, 1.0)]), field
    assert not is_complete([])


@given(MATCHES)
def test_every_value_is_one_that_its_source_gave(matches: list[Match]) -> None:
    book = merged(0, matches, ISBN)
    by_name = {match.provider: match.record for match in matches}
    for name, attribute in (
        ("title", "title"),
        ("workTitle", "work_title"),
        ("subtitle", "subtitle"),
        ("authors", "authors"),
        ("publisher", "publisher"),
        ("publishedDate", "published"),
        ("pages", "pages"),
        ("language", "language"),
        ("subjects", "subjects"),
        ("description", "description"),
        ("coverUrl", "cover_url"),
    ):
        told = msgspec.to_builtins(book).get(name)
        if name in book.sources:
            value = getattr(by_name[book.sources[name]], attribute)
            assert told == value, name
        else:
            assert not told, name


@given(MATCHES)
def test_what_belongs_to_an_edition_is_all_of_one_edition(matches: list[Match]) -> None:
    book = merged(0, matches, ISBN)
    by_name = {match.provider: match for match in matches}
    base = by_name[book.match.provider]
    for name in ("subtitle", "publisher", "publishedDate", "pages", "language", "isbn13"):
        if name in book.sources:
            source = by_name[book.sources[name]]
            assert source is base or is_same_edition(base, source), name


@given(MATCHES)
def test_nothing_is_left_out_that_the_base_has(matches: list[Match]) -> None:
    book = merged(0, matches, ISBN)
    base = next(match for match in matches if match.provider == book.match.provider).record
    assert book.title == base.title
    for name in ("subtitle", "publisher", "pages", "language", "description", "cover_url", "subjects", "authors"):
        if value := getattr(base, name):
            assert getattr(book, name) == value, name


@given(MATCHES)
def test_the_order_decides_only_among_equals(matches: list[Match]) -> None:
    ranks = {(match.way, match.record.is_edition) for match in matches}
    results = {
        (book.title, book.match.provider) for order in permutations(matches) for book in [merged(0, order, ISBN)]
    }
    assert len(results) == 1 or len(ranks) < len(matches)


@given(MATCHES)
def test_the_result_survives_json(matches: list[Match]) -> None:
    book = merged(0, matches, ISBN, ("Something was odd.",))
    assert msgspec.json.decode(msgspec.json.encode(book), type=EnrichedBook) == book
