"""How Open Library is asked, over a transport that stands where the network begins."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.books.batch_enrichment.factory import open_lookups
from shelfwire.books.batch_enrichment.google_books import record_of_volume
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.batch_enrichment.matching import Way, ranked
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.batch_enrichment.open_library_records import record_of_book, record_of_work
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.matching import same_people
from shelfwire.books.settings import BookSettings
from tests.books import real_answers
from tests.books.fake_services import isbn_of

ISBN = "9780441478125"
OTHER = "9780441007318"
ASKED = AskedBook("The Left Hand of Darkness", "Ursula K. Le Guin")
EDITION = {
    "key": "/books/OL7524059M",
    "type": {"key": "/type/edition"},
    "title_prefix": "The",
    "title": "Left Hand of Darkness",
    "authors": [{"key": "/authors/OL31353A", "name": "Le Guin, Ursula K."}],
    "isbn_10": ["0441478123"],
    "publishers": ["Ace Books", "Ace"],
    "publish_date": "1987 printing, c1969",
    "pagination": "xvi, 304 p. ;",
    "languages": [{"key": "/languages/eng"}],
    "description": {"type": "/type/text", "value": "A lone human ambassador on a world of ice."},
    "covers": [-1, 6776207],
    "works": [{"key": "/works/OL59800W"}],
    "lccn": ["97001295"],
    "oclc_numbers": ["57215622"],
}
WORK = {
    "key": "/works/OL59800W",
    "type": {"key": "/type/work"},
    "title": "The Left Hand of Darkness",
    "authors": [{"type": {"key": "/type/author_role"}, "author": {"key": "/authors/OL31353A"}}],
    "description": "A lone human ambassador on a world of ice.",
    "subjects": ["Science fiction", "Winter"],
    "covers": [-1, 93],
}
AUTHOR = {"key": "/authors/OL31353A", "type": {"key": "/type/author"}, "name": "Le Guin, Ursula K."}
BARE = {name: value for name, value in EDITION.items() if name not in {"description", "covers", "authors"}}
HIT = {
    "key": "/works/OL59800W",
    "title": "The Left Hand of Darkness",
    "author_name": ["Le Guin, Ursula K."],
    "edition_count": 74,
    "first_publish_year": 1969,
    "isbn": [OTHER, ISBN],
    "language": ["eng", "ger"],
}


def moved(key: str) -> dict[str, Any]:
    return {"type": {"key": "/type/redirect"}, "location": key}


class Library:
    """Answers by path; editions by any of their keys, records of other kinds by theirs."""

    def __init__(self, editions: Mapping[str, Any] = {}, hits: Any = (), **records: Any) -> None:
        self.editions = dict(editions)
        self.hits = list(hits)
        self.records = records
        self.unreadable: str | None = None
        self.volumes: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[list[str]] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.paths.append(path)
        if path == "/search.json":
            return httpx2.Response(200, json={"numFound": len(self.hits), "docs": self.hits})
        if path == "/api/books":
            keys = request.url.params["bibkeys"].split(",")
            self.keys.append(keys)
            assert request.url.params["jscmd"] == "details"
            found = {} if self.unreadable in keys else {key: self.editions[key] for key in keys if key in self.editions}
            return httpx2.Response(200, json={key: {"bib_key": key, "details": one} for key, one in found.items()})
        if path == "/books/v1/volumes":
            return httpx2.Response(200, json={"totalItems": len(self.volumes), "items": self.volumes})
        record = self.records.get(path.rpartition("/")[2].removesuffix(".json"))
        return httpx2.Response(404, json={"error": "notfound"}) if record is None else httpx2.Response(200, json=record)

    @asynccontextmanager
    async def lookups(self, folder: Path) -> AsyncIterator[Lookups]:
        settings = BookSettings(
            open_library_url="https://library.example",
            google_books_url="https://library.example/books/v1",
            open_library_rate=1000.0,
            google_books_rate=1000.0,
        )
        async with (
            httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer)) as client,
            open_lookups(settings, folder, client) as lookups,
        ):
            yield lookups

    async def find(self, folder: Path, asked: AskedBook) -> EnrichedBook:
        async with self.lookups(folder) as lookups:
            return await lookups.find(0, asked)


BY_ISBN = AskedBook(ASKED.title, ASKED.author, ISBN)


async def test_a_whole_edition_costs_one_request_and_every_field_of_it_is_there(tmp_path: Path) -> None:
    library = Library({f"ISBN:{ISBN}": EDITION})
    book = await library.find(tmp_path, BY_ISBN)
    assert library.paths == ["/api/books"]
    assert (book.title, book.authors, book.isbn13) == (ASKED.title, ("Ursula K. Le Guin",), ISBN)
    assert (book.publisher, book.published_date, book.pages, book.language) == ("Ace Books", "1987", 304, "en")
    assert book.description == "A lone human ambassador on a world of ice."
    assert book.cover_url == "https://covers.openlibrary.org/b/id/6776207-L.jpg"
    assert book.identifiers == {
        "openlibrary": "OL7524059M",
        "openlibraryWork": "OL59800W",
        "lccn": "97001295",
        "oclc": "57215622",
    }
    assert set(book.sources.values()) == {"open_library"}


async def test_what_only_the_work_has_costs_one_request_more_and_no_second_provider(tmp_path: Path) -> None:
    edition = {name: value for name, value in EDITION.items() if name != "description"}
    library = Library({f"ISBN:{ISBN}": edition}, OL59800W=WORK)
    book = await library.find(tmp_path, BY_ISBN)
    assert library.paths == ["/api/books", "/works/OL59800W.json"]
    assert (book.description, book.subjects) == (WORK["description"], ("Science fiction", "Winter"))
    assert book.cover_url == "https://covers.openlibrary.org/b/id/6776207-L.jpg", "the edition's own cover"


async def test_where_more_is_wanting_than_a_work_has_the_work_is_asked_for_last(tmp_path: Path) -> None:
    edition = {name: value for name, value in EDITION.items() if name not in {"description", "pagination"}}
    library = Library({f"ISBN:{ISBN}": edition}, OL59800W=WORK)
    book = await library.find(tmp_path, BY_ISBN)
    assert list(dict.fromkeys(library.paths)) == ["/api/books", "/books/v1/volumes", "/works/OL59800W.json"]
    assert library.paths.count("/api/books") == library.paths.count("/works/OL59800W.json") == 1
    assert (book.description, book.pages) == (WORK["description"], None)


async def test_a_work_is_not_asked_for_where_another_provider_has_told_all_that_was_wanting(tmp_path: Path) -> None:
    edition = {name: value for name, value in EDITION.items() if name not in {"description", "pagination"}}
    library = Library({f"ISBN:{ISBN}": edition}, OL59800W=WORK)
    library.volumes = [
        {
            "volumeInfo": {
                "title": ASKED.title,
                "authors": [ASKED.author],
                "industryIdentifiers": [{"type": "ISBN_13", "identifier": ISBN}],
                "pageCount": 304,
                "description": "An envoy.",
            }
        }
    ]
    book = await library.find(tmp_path, BY_ISBN)
    assert library.paths == ["/api/books", "/books/v1/volumes"]
    assert (book.description, book.pages, book.publisher) == ("An envoy.", 304, "Ace Books")


async def test_a_work_that_does_not_tell_what_is_wanting_is_asked_for_once(tmp_path: Path) -> None:
    silent = {name: value for name, value in WORK.items() if name != "description"}
    edition = {name: value for name, value in EDITION.items() if name != "description"}
    library = Library({f"ISBN:{ISBN}": edition}, OL59800W=silent)
    (tmp_path / "cache").write_bytes(b"no folder, so that nothing is kept")
    book = await library.find(tmp_path, BY_ISBN)
    assert book.description is None
    assert library.paths[:2] == ["/api/books", "/works/OL59800W.json"]
    assert set(library.paths[2:]) == {"/books/v1/volumes"}


async def test_a_second_edition_of_a_work_does_not_ask_for_the_work_again(tmp_path: Path) -> None:
    edition = {name: value for name, value in EDITION.items() if name not in {"description", "isbn_10"}}
    library = Library({f"ISBN:{ISBN}": edition, f"ISBN:{OTHER}": edition}, OL59800W=WORK)
    async with library.lookups(tmp_path) as lookups:
        asked = (AskedBook(ASKED.title, ASKED.author, isbn) for isbn in (ISBN, OTHER))
        await asyncio.gather(*(lookups.find(index, one) for index, one in enumerate(asked)))
    assert library.paths == ["/api/books", "/works/OL59800W.json"]


async def test_works_and_authors_that_were_merged_are_followed_to_their_successors(tmp_path: Path) -> None:
    work = {**WORK, "authors": [{"author": {"key": "/authors/OL1A"}}]}
    library = Library(
        {f"ISBN:{ISBN}": {**BARE, "works": [{"key": "/works/OL1W"}]}},
        OL1W=moved("/works/OL59800W"),
        OL59800W=work,
        OL1A=moved("/authors/OL31353A"),
        OL31353A=AUTHOR,
    )
    book = await library.find(tmp_path, BY_ISBN)
    assert library.paths[1:] == [f"/{path}.json" for path in ("works/OL1W", "works/OL59800W", "authors/OL1A")] + [
        "/authors/OL31353A.json"
    ]
    assert (book.authors, book.description) == (("Ursula K. Le Guin",), WORK["description"])
    assert book.identifiers["openlibraryWork"] == "OL59800W"


async def test_records_that_point_at_each_other_or_are_gone_cost_little_and_no_book(tmp_path: Path) -> None:
    library = Library({f"ISBN:{ISBN}": BARE}, OL59800W=moved("/works/OL2W"), OL2W=moved("/works/OL59800W"))
    book = await library.find(tmp_path, BY_ISBN)
    assert library.paths.count("/works/OL59800W.json") + library.paths.count("/works/OL2W.json") <= 3
    assert (book.title, book.warnings) == (ASKED.title, ())
    gone = Library({f"ISBN:{ISBN}": BARE})
    book = await gone.find(tmp_path / "gone", BY_ISBN)
    assert (book.title, book.warnings) == (ASKED.title, ()), "that a record is gone is an answer"


async def test_an_edition_whose_authors_come_without_names_has_them_asked_for(tmp_path: Path) -> None:
    edition = {**EDITION, "authors": [{"key": "/authors/OL31353A"}]}
    library = Library({f"ISBN:{ISBN}": edition}, OL31353A=AUTHOR)
    assert (await library.find(tmp_path, BY_ISBN)).authors == ("Ursula K. Le Guin",)
    assert library.paths == ["/api/books", "/authors/OL31353A.json"]


async def test_a_hit_of_the_search_is_completed_by_the_record_of_its_own_edition(tmp_path: Path) -> None:
    best = {"key": "/books/OL7524059M", "title": ASKED.title, "isbn": [ISBN], "publish_date": ["1987"]}
    edition = {**EDITION, "publish_date": "March 12, 1987"}
    library = Library({"OLID:OL7524059M": edition}, [{**HIT, "editions": {"docs": [best]}}])
    book = await library.find(tmp_path, ASKED)
    assert book.published_date == "1987-03-12", "the fuller date"
    assert library.paths == ["/search.json", "/api/books"]
    assert (book.isbn13, book.publisher, book.pages, book.language) == (ISBN, "Ace Books", 304, "en")
    assert book.match.by == "title"


async def test_an_edition_without_isbn_is_given_none_of_another_edition(tmp_path: Path) -> None:
    best = {"key": "/books/OL7524059M", "title": ASKED.title, "publisher": ["Walker"], "publish_date": ["1969"]}
    own = {name: value for name, value in EDITION.items() if name not in {"isbn_10", "publish_date"}}
    library = Library({"OLID:OL7524059M": own}, [{**HIT, "editions": {"docs": [best]}}])
    book = await library.find(tmp_path, ASKED)
    assert (book.isbn13, book.publisher, book.published_date, book.pages) == (None, "Walker", "1969", 304)
    assert [key for keys in library.keys for key in keys] == ["OLID:OL7524059M"]


async def test_a_work_of_many_editions_has_no_isbn_and_a_work_of_one_has_its_own(tmp_path: Path) -> None:
    many = await Library(hits=[HIT], OL59800W=WORK).find(tmp_path / "many", ASKED)
    assert (many.isbn13, many.language, many.description) == (None, None, WORK["description"])
    single = {
        **HIT,
        "edition_count": 1,
        "edition_key": ["OL7524059M"],
        "isbn": [f"0441478123\t{ISBN}"],
        "publisher": ["Ace Books"],
        "language": ["eng"],
        "cover_i": -1,
    }
    one = await Library(hits=[single]).find(tmp_path / "one", ASKED)
    assert (one.isbn13, one.publisher, one.language, one.cover_url) == (ISBN, "Ace Books", "en", None)
    assert one.identifiers["openlibrary"] == "OL7524059M"


async def test_one_record_that_the_service_cannot_read_does_not_hide_the_others_of_its_batch(tmp_path: Path) -> None:
    isbns = [isbn_of(number) for number in range(50)]
    library = Library({f"ISBN:{isbn}": {**EDITION, "isbn_10": [], "isbn_13": [isbn]} for isbn in isbns})
    library.unreadable = f"ISBN:{isbns[17]}"
    async with library.lookups(tmp_path) as lookups:
        asked = [AskedBook(ASKED.title, ASKED.author, isbn) for isbn in isbns]
        found = await asyncio.gather(*(lookups.find(0, one) for one in asked), return_exceptions=True)
    assert [index for index, book in enumerate(found) if not isinstance(book, EnrichedBook)] == [17]
    assert library.paths.count("/api/books") <= 2 * 6 + 1


async def test_a_list_that_the_service_does_not_know_costs_two_requests_more_at_most(tmp_path: Path) -> None:
    library = Library()
    async with library.lookups(tmp_path) as lookups:
        asked = [AskedBook(isbn_of(number), None, isbn_of(number)) for number in range(50)]
        await asyncio.gather(*(lookups.find(0, one) for one in asked), return_exceptions=True)
    assert library.paths.count("/api/books") == 3


NULLS = b"""{"docs": [null, 7, {"title": null}, {"title": "The Left Hand of Darkness", "editions": null, "subject": 7,
"author_name": ["Ursula K. Le Guin", null], "isbn": [9780441478125, null], "edition_count": "1", "cover_i": "93"}]}"""


@pytest.mark.parametrize(
    "body",
    [
        '{"docs": [{"title": "The Left Hand of Darkness", "author_name": ["Ursula K. Le Guin"]}]}'.encode("utf-8-sig"),
        '{"docs": [{"title": "The Left Hand of Darkness", "author_name": ["Ursula K. Le Guin", "Zoë"]}]}'.encode(
            "cp1252"
        ),
        NULLS,
    ],
    ids=["byte order mark", "wrong charset", "null members"],
)
async def test_answers_in_odd_forms_are_read(tmp_path: Path, body: bytes) -> None:
    library = Library()
    odd = Library.answer

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/search.json":
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=body)
        return odd(library, request)

    library.answer = answer  # type: ignore[method-assign]
    book = await library.find(tmp_path, ASKED)
    assert (book.title, book.authors[0]) == (ASKED.title, "Ursula K. Le Guin")


def test_every_field_of_real_editions_is_in_their_records() -> None:
    editions = [
        *real_answers.dumped("editions-head-n1000.txt"),
        *real_answers.dumped("editions-grep-dostoyevsky-n50-head.txt"),
        *real_answers.read("open_library", "bw_ol_edition_list.json")["entries"],
        *real_answers.read("open_library", "jf_editions.json")["entries"],
    ]
    given = {
        "subtitle": "subtitle",
        "publishers": "publisher",
        "publish_date": "published",
        "number_of_pages": "pages",
        "languages": "language",
        "subjects": "subjects",
        "description": "description",
        "isbn_10": "isbn13s",
        "isbn_13": "isbn13s",
    }
    for edition in editions:
        record = record_of_book({"details": edition})
        assert record is not None
        assert record.title.endswith(" ".join(edition["title"].split()))
        lost = [name for name, ours in given.items() if edition.get(name) and not getattr(record, ours)]
        assert not lost, edition["key"]
        assert bool(record.cover_url) == any(cover > 0 for cover in edition.get("covers", ()))
        works = [work["key"].removeprefix("/works/") for work in edition.get("works", ())]
        assert record.identifiers.get("openlibraryWork") == next(iter(works), None)


def test_real_works_keep_their_numbers_and_names_apart() -> None:
    for work in real_answers.read("open_library", "search_docs.json")["docs"]:
        record = record_of_work(work)
        assert record is not None
        assert record.is_edition == (work["edition_count"] == 1)
        assert bool(record.isbn13s) == bool(work.get("isbn"))
        assert not any(name.count(",") == 1 and "(" not in name for name in record.authors), record.authors
        assert len(set(record.authors)) == len(record.authors)


def test_no_real_record_is_surely_the_book_of_somebody_else() -> None:
    works = real_answers.read("open_library", "search_docs.json")["docs"]
    volumes = real_answers.read("google_books", "volumes.json")["items"]
    editions = real_answers.read("open_library", "bw_ol_edition_list.json")["entries"]
    read = [*map(record_of_work, works), *map(record_of_volume, volumes), *map(record_of_book, editions)]
    records = [record for record in read if record]
    for record in records:
        somebody = ranked(AskedBook(record.title, "Ayn Rand"), "p", records, Way.TITLE)[0]
        assert not somebody.is_sure, somebody
        if record.authors:
            best = ranked(AskedBook(record.title, record.authors[0]), "p", records, Way.TITLE)[0]
            assert best.is_sure, record
            assert same_people(best.record.authors, record.authors)
