import asyncio
import json
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.batch_enrichment.lookup_failure import Unanswered
from shelfwire.books.batch_enrichment.lookups import Lookups
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.bibliography.records import BookRecord
from shelfwire.books.catalogue import CatalogueError, CatalogueHit
from shelfwire.books.codes import BookCode
from shelfwire.books.upstream.errors import Reason
from shelfwire.errors import ShelfwireError
from shelfwire.settings import Secret
from tests.books.batch_enrichment.conftest import OpenLookups
from tests.books.fake_services import (
    GOOGLE_BOOKS,
    HTML,
    OPEN_LIBRARY,
    Ask,
    Book,
    Catalogues,
    Trouble,
    always,
    at_first,
    library,
)
from tests.live import until

BOOKS = library(12)
BOTH = {OPEN_LIBRARY: BOOKS, GOOGLE_BOOKS: BOOKS}
KEY = "a-key-that-nobody-may-see"


def asked(book: Book, *, isbn: bool = True, author: bool = True) -> AskedBook:
    return AskedBook(book.title, book.author if author else None, book.isbn13 if isbn else None)


async def find(lookups: Lookups, book: AskedBook) -> EnrichedBook:
    return await lookups.find(0, book)


async def failure(lookups: Lookups, book: AskedBook) -> ShelfwireError:
    with pytest.raises(ShelfwireError) as raised:
        await find(lookups, book)
    return raised.value


async def find_all(lookups: Lookups, books: Sequence[Book], **how: Any) -> list[EnrichedBook]:
    return await asyncio.gather(*(lookups.find(index, asked(book, **how)) for index, book in enumerate(books)))


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class Shelf:
    """A local catalogue of a few books."""

    def __init__(self, books: Sequence[Book]) -> None:
        self.broken = False
        self.entries = [
            BookRecord(
                title=book.title,
                authors=(book.author,),
                isbn13s=(book.isbn13,),
                publisher="Harbour Press",
                published="1965",
                pages=412,
                language="eng",
            )
            for book in books
        ]

    def by_isbn(self, isbns: Sequence[str]) -> dict[str, BookRecord]:
        self._check()
        return {isbn: entry for isbn in isbns for entry in self.entries if isbn in entry.isbn13s}

    def search(self, title: str, author: str | None = None, limit: int = 5) -> list[CatalogueHit]:
        self._check()
        found = [entry for entry in self.entries if title in entry.title and author in {None, *entry.authors}]
        return [CatalogueHit(entry, 1.0) for entry in found[:limit]]

    def _check(self) -> None:
        if self.broken:
            raise CatalogueError("the file is gone")


async def test_a_book_is_found_by_isbn_and_what_one_provider_leaves_out_comes_from_the_next(
    lookups: OpenLookups,
) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        book = await find(opened, asked(BOOKS[3]))
    assert (book.match.by, book.match.provider, book.isbn13) == ("isbn", OPEN_LIBRARY, BOOKS[3].isbn13)
    assert (book.sources["coverUrl"], book.sources["description"]) == (OPEN_LIBRARY, GOOGLE_BOOKS)
    assert book.published_date == f"{BOOKS[3].year}-08-01", "the fuller date of the same edition"
    assert book.language == "en"
    assert set(book.identifiers) == {"openlibrary", "openlibraryWork", "goodreads", "google"}


async def test_the_isbns_of_many_books_are_asked_for_in_one_request(lookups: OpenLookups) -> None:
    async with Catalogues({OPEN_LIBRARY: BOOKS}).serving() as services, lookups(services) as opened:
        await find_all(opened, BOOKS)
        batches = [ask for ask in services.asks if (ask.service, ask.kind) == (OPEN_LIBRARY, "isbn")]
    assert sorted(key for ask in batches for key in ask.keys) == sorted(book.isbn13 for book in BOOKS)
    assert len(batches) < len(BOOKS) / 2


async def test_a_book_without_isbn_is_found_by_title_and_the_next_provider_is_asked_for_that_edition(
    lookups: OpenLookups,
) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        book = await find(opened, asked(BOOKS[3], isbn=False))
    assert (book.match.by, book.match.score, book.isbn13) == ("title", 1.0, BOOKS[3].isbn13)
    assert services.keys(GOOGLE_BOOKS, "isbn") == [BOOKS[3].isbn13]
    assert services.keys(GOOGLE_BOOKS, "title") == []


async def test_a_complete_answer_is_enough_and_the_order_is_a_setting(lookups: OpenLookups) -> None:
    async with (
        Catalogues(BOTH).serving() as services,
        lookups(services, providers=(GOOGLE_BOOKS, OPEN_LIBRARY)) as opened,
    ):
        book = await find(opened, asked(BOOKS[3]))
    assert set(book.sources.values()) == {GOOGLE_BOOKS}
    assert [ask.service for ask in services.asks] == [GOOGLE_BOOKS]


async def test_a_local_catalogue_is_asked_first_and_others_fill_in(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services, Shelf(BOOKS[:2])) as opened:
        by_isbn = await find(opened, asked(BOOKS[0]))
        by_title = await find(opened, asked(BOOKS[1], isbn=False))
    for book in (by_isbn, by_title):
        assert book.match.provider == "catalogue"
        assert (book.sources["pages"], book.sources["coverUrl"]) == ("catalogue", OPEN_LIBRARY)
    assert services.keys(OPEN_LIBRARY, "title") == []


async def test_a_local_catalogue_that_breaks_is_like_any_provider_that_is_down(lookups: OpenLookups) -> None:
    shelf = Shelf(BOOKS)
    shelf.broken = True
    async with Catalogues(BOTH).serving() as services, lookups(services, shelf) as opened:
        book = await find(opened, asked(BOOKS[3]))
        error = await failure(opened, AskedBook("A Book Nobody Wrote"))
    assert (book.match.provider, "catalogue" in book.warnings[0]) == (OPEN_LIBRARY, True)
    reasons = {"providers": ["catalogue"], "reasons": {"catalogue": "down"}}
    assert (error.code, error.details) == (BookCode.PROVIDER_UNAVAILABLE, reasons)


async def test_an_isbn_that_is_another_books_leads_to_a_search_and_a_warning(lookups: OpenLookups) -> None:
    wrong = {BOOKS[3].isbn13: BOOKS[4]}
    async with Catalogues(BOTH, wrong=wrong).serving() as services, lookups(services) as opened:
        book = await find(opened, asked(BOOKS[3]))
    assert (book.title, book.match.by) == (BOOKS[3].title, "title")
    assert BOOKS[4].title in book.warnings[0]


async def test_a_mistyped_isbn_is_told_of_and_the_book_found_by_its_title(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        book = await find(opened, AskedBook(BOOKS[3].title, BOOKS[3].author, None, "The ISBN is mistyped."))
    assert (book.title, book.warnings) == (BOOKS[3].title, ("The ISBN is mistyped.",))


async def test_a_book_that_nobody_knows_fails_with_the_candidates_that_are_not_sure_enough(
    lookups: OpenLookups,
) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        unknown = await failure(opened, AskedBook("A Book Nobody Wrote"))
        unsure = await failure(opened, AskedBook(BOOKS[3].title, "Somebody Else"))
    assert (unknown.code, unknown.details) == (BookCode.ENRICHMENT_FAILED, {})
    assert unsure.code is BookCode.ENRICHMENT_FAILED
    assert unsure.details is not None
    assert "Choose among them" in unsure.user_message
    candidate = unsure.details["candidates"][0]
    assert (candidate["title"], candidate["isbn13"]) == (BOOKS[3].title, BOOKS[3].isbn13)
    assert 0 < candidate["score"] < 0.75


async def test_an_author_who_is_spelt_otherwise_does_not_hide_the_book(lookups: OpenLookups) -> None:
    def plan(ask: Ask) -> Trouble | None:
        # A search for all words finds nobody of that name.
        return Trouble(status=200, body='{"docs": []}') if "author=" in ask.target else None

    services = Catalogues({OPEN_LIBRARY: BOOKS}, plan=plan)
    async with services.serving(), lookups(services, providers=(OPEN_LIBRARY,)) as opened:
        book = await find(opened, AskedBook(BOOKS[3].title, BOOKS[3].author.replace("a", "ah")))
    assert (book.title, book.match.by) == (BOOKS[3].title, "title")


async def test_of_several_authors_the_first_is_searched_for(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        await find(opened, AskedBook(BOOKS[3].title, f"{BOOKS[3].author} & Somebody Else"))
    assert "Somebody" not in services.asks[0].target


async def test_the_same_list_again_makes_no_request_whatever_the_order(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services:
        async with lookups(services) as opened:
            first = await find_all(opened, BOOKS)
            await failure(opened, AskedBook("A Book Nobody Wrote"))
        before = len(services.asks)
        async with lookups(services) as opened:
            again = await find_all(opened, BOOKS[::-1])
            await failure(opened, AskedBook("A Book Nobody Wrote"))
        assert len(services.asks) == before
    assert {book.isbn13: book.identifiers for book in again} == {book.isbn13: book.identifiers for book in first}


async def test_what_two_ask_for_at_the_same_time_is_looked_up_once(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        services.gate.clear()
        waiting = [asyncio.create_task(find_all(opened, BOOKS, isbn=isbn)) for isbn in (True, True, False, False)]
        await until(lambda: len(services.keys(OPEN_LIBRARY, "title")) == len(BOOKS))
        services.gate.set()
        await asyncio.gather(*waiting)
    assert services.repeated() == {}


async def test_who_leaves_takes_no_lookup_away_from_the_other(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        services.gate.clear()
        leaving, staying = (asyncio.create_task(find_all(opened, BOOKS)) for _ in range(2))
        await until(lambda: len(services.asks) > 0)
        leaving.cancel()
        await asyncio.wait([leaving])
        services.gate.set()
        assert len(await staying) == len(BOOKS)
    assert services.repeated() == {}


@pytest.mark.parametrize("trouble", [Trouble(), Trouble(cut=True), Trouble(status=429), Trouble(hang=True), HTML])
async def test_trouble_with_a_request_costs_no_book(lookups: OpenLookups, trouble: Trouble) -> None:
    services = Catalogues(BOTH, plan=at_first(3, trouble))
    async with services.serving(), lookups(services, seconds=timeout_for(trouble)) as opened:
        books = await find_all(opened, BOOKS, isbn=False)
        again = len(services.asks)
        await find_all(opened, BOOKS, isbn=False)
    assert [book.title for book in books] == [book.title for book in BOOKS]
    assert not any(book.warnings for book in books)
    assert len(services.asks) == again, "trouble does not get into the cache"


def timeout_for(trouble: Trouble) -> float:
    """Seconds that a service which answers never needs, whatever else the machine has to do."""
    return 2.0 if trouble.hang else 30.0


DEAD = [
    Trouble(),
    Trouble(cut=True),
    Trouble(hang=True),
    Trouble(status=429),
    Trouble(status=429, headers={"retry-after": "3600"}),
    Trouble(status=403, body='{"error": {"errors": [{"reason": "dailyLimitExceeded", "message": "Quota exceeded"}]}}'),
    Trouble(status=400, body='{"error": {"message": "Daily Limit Exceeded"}}'),
    HTML,
]


@pytest.mark.parametrize("trouble", DEAD)
async def test_a_dead_provider_costs_few_requests_and_the_others_go_on(lookups: OpenLookups, trouble: Trouble) -> None:
    books = library(60)
    known = {OPEN_LIBRARY: books[:30], GOOGLE_BOOKS: books}
    services = Catalogues(known, plan=always(trouble, GOOGLE_BOOKS))
    async with services.serving(), lookups(services, seconds=timeout_for(trouble)) as opened:
        found = await asyncio.gather(*(find(opened, asked(book)) for book in books), return_exceptions=True)
        others = [book for book in found if isinstance(book, EnrichedBook)]
        errors = [error for error in found if isinstance(error, ShelfwireError)]
    assert [book.title for book in others] == [book.title for book in books[:30]]
    assert all("google_books" in book.warnings[0] for book in others)
    assert [error.code for error in errors] == [BookCode.PROVIDER_UNAVAILABLE] * 30
    assert {tuple((error.details or {})["providers"]) for error in errors} == {(GOOGLE_BOOKS,)}
    # At most those that were under way when it was given up, which is as many as may be at once.
    assert Counter(ask.service for ask in services.asks)[GOOGLE_BOOKS] <= 60 + 8


def refusal(status: int, reason: str, message: str = "") -> Trouble:
    """An error as Google Books gives it."""
    errors = [{"reason": reason, "message": message}]
    return Trouble(status, body=json.dumps({"error": {"code": status, "message": message, "errors": errors}}))


@pytest.mark.parametrize(
    ("trouble", "reason", "words", "advice"),
    [
        (refusal(400, "keyInvalid"), "key_refused", "google_books_api_key", "operator"),
        (refusal(403, "accessNotConfigured"), "api_off", "Switch the API on", "operator"),
        (refusal(403, "ipRefererBlocked"), "blocked", "restrictions of the key", "operator"),
        (refusal(403, "forbidden"), "access_refused", "google_books_url", "operator"),
        (Trouble(404, body="<html>Not Found</html>"), "not_found", "google_books_url", "operator"),
        (refusal(429, "rateLimitExceeded", "limit 'Queries per day'"), "day_quota", "by tomorrow", "tomorrow"),
    ],
)
async def test_a_refusal_of_all_requests_costs_one_and_its_reason_is_in_log_and_every_item(
    lookups: OpenLookups,
    capsys: pytest.CaptureFixture[str],
    trouble: Trouble,
    reason: str,
    words: str,
    advice: str,
) -> None:
    books = library(24)
    known = {OPEN_LIBRARY: books[:12], GOOGLE_BOOKS: books}
    services = Catalogues(known, plan=always(trouble, GOOGLE_BOOKS))
    unanswered = Unanswered()
    async with services.serving(), lookups(services, google_books_api_key=Secret(KEY)) as opened:
        found = await asyncio.gather(
            *(opened.find(0, asked(book), unanswered.note) for book in books), return_exceptions=True
        )
    assert Counter(ask.service for ask in services.asks)[GOOGLE_BOOKS] == 1
    short = Reason(reason).text.short
    assert all(f"google_books ({short})" in book.warnings[0] for book in found if isinstance(book, EnrichedBook))
    errors = [error for error in found if isinstance(error, ShelfwireError)]
    assert len(errors) == 12
    for error in errors:
        assert (error.details or {})["reasons"] == {GOOGLE_BOOKS: reason}
        assert words in error.message
        assert advice in error.user_message
    assert (
        unanswered.added_to("Found 12 books") == f"Found 12 books; google_books could not be asked about 24 ({short})"
    )
    logged = capsys.readouterr().out
    assert logged.count("upstream refuses all requests") == 1
    assert words in logged


async def test_a_book_is_found_though_what_would_complete_it_cannot_be_asked_for(lookups: OpenLookups) -> None:
    services = Catalogues({OPEN_LIBRARY: BOOKS}, plan=lambda ask: Trouble() if ask.kind == "work" else None)
    async with services.serving(), lookups(services, providers=(OPEN_LIBRARY,)) as opened:
        book = await find(opened, asked(BOOKS[3]))
    assert (book.title, book.pages) == (BOOKS[3].title, BOOKS[3].pages)
    assert "open_library (it is down)" in book.warnings[0]


async def test_a_provider_that_was_down_is_asked_again_for_what_it_did_not_answer(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH, plan=always(Trouble(), GOOGLE_BOOKS)).serving() as services:
        async with lookups(services) as opened:
            assert (await find(opened, asked(BOOKS[3]))).description is None
        services.plan = lambda _: None
        async with lookups(services) as opened:
            book = await find(opened, asked(BOOKS[3]))
    assert book.description == "A novel about number 3."
    assert len(services.keys(OPEN_LIBRARY, "isbn")) == 1


async def test_without_a_network_every_book_fails_at_once_and_may_be_retried(lookups: OpenLookups) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        services = Catalogues({})
        services.url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with lookups(services) as opened:
            errors = await asyncio.gather(*(failure(opened, asked(book)) for book in library(300)))
    assert {error.code for error in errors} == {BookCode.PROVIDER_UNAVAILABLE}
    assert all(error.retryable for error in errors)
    assert errors[0].details == {
        "providers": [OPEN_LIBRARY, GOOGLE_BOOKS],
        "reasons": dict.fromkeys((OPEN_LIBRARY, GOOGLE_BOOKS), "down"),
    }


async def test_a_request_that_is_refused_concerns_its_book_alone(lookups: OpenLookups) -> None:
    def plan(ask: Ask) -> Trouble | None:
        return Trouble(status=400) if BOOKS[3].title in ask.keys else None

    services = Catalogues({OPEN_LIBRARY: BOOKS}, plan=plan)
    async with services.serving(), lookups(services, providers=(OPEN_LIBRARY,)) as opened:
        found = await asyncio.gather(*(find(opened, asked(book, isbn=False)) for book in BOOKS), return_exceptions=True)
    assert [isinstance(one, ShelfwireError) for one in found] == [number == 3 for number in range(len(BOOKS))]


async def test_the_services_are_told_whom_to_write_to_and_the_key_is_nowhere_but_in_its_header(
    lookups: OpenLookups, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    contact = "librarian@example.com"
    services = Catalogues(BOTH, plan=at_first(2, Trouble()))
    async with services.serving(), lookups(services, contact=contact, google_books_api_key=Secret(KEY)) as opened:
        await find_all(opened, BOOKS)
    assert {contact in ask.headers["user-agent"] for ask in services.asks} == {True}
    assert {ask.headers.get("x-goog-api-key") for ask in services.asks if ask.service == GOOGLE_BOOKS} == {KEY}
    assert {ask.headers.get("x-goog-api-key") for ask in services.asks if ask.service == OPEN_LIBRARY} == {None}
    assert not any(KEY in ask.target for ask in services.asks)
    assert KEY not in caplog.text
    kept = files(tmp_path)
    assert BOOKS[3].isbn13.encode() in kept
    assert KEY.encode() not in kept


async def test_a_title_that_is_the_isbn_is_not_searched_for(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services) as opened:
        found = await find(opened, AskedBook(BOOKS[3].isbn13, None, BOOKS[3].isbn13))
        error = await failure(opened, AskedBook("9780441172719", None, "9780441172719"))
    assert found.title == BOOKS[3].title
    assert error.code is BookCode.ENRICHMENT_FAILED
    assert services.keys(OPEN_LIBRARY, "title") == services.keys(GOOGLE_BOOKS, "title") == []


async def test_without_any_provider_nobody_is_said_not_to_know_the_book(lookups: OpenLookups) -> None:
    async with Catalogues(BOTH).serving() as services, lookups(services, providers=("catalogue",)) as opened:
        error = await failure(opened, asked(BOOKS[3]))
    assert error.code is BookCode.PROVIDER_UNAVAILABLE
    assert "no provider" in error.message
