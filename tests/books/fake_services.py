"""A local server that plays Open Library and Google Books, well or badly, on a real socket."""

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from anyio.from_thread import start_blocking_portal

OPEN_LIBRARY: Final = "open_library"
GOOGLE_BOOKS: Final = "google_books"
SERVICES: Final = (OPEN_LIBRARY, GOOGLE_BOOKS)
WINDOW_SECONDS: Final = 1.0

_ADJECTIVES: Final = (
    "Silent",
    "Crimson",
    "Forgotten",
    "Hollow",
    "Golden",
    "Restless",
    "Bitter",
    "Distant",
    "Broken",
    "Luminous",
)
_NOUNS: Final = (
    "Harbour",
    "Orchard",
    "Cartographer",
    "Lighthouse",
    "Winter",
    "Machine",
    "Testament",
    "Garden",
    "Violin",
    "Labyrinth",
)
_PLACES: Final = (
    "Lisbon",
    "Samarkand",
    "Reykjavik",
    "Valparaiso",
    "Trieste",
    "Nagasaki",
    "Zanzibar",
    "Cordoba",
    "Uppsala",
    "Tbilisi",
)
_GIVEN: Final = ("Ada", "Bruno", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_SURNAMES: Final = (
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Tanaka",
    "Delgado",
    "Petrov",
    "Hartmann",
    "Novak",
    "Achebe",
    "Sorensen",
)


class Book(msgspec.Struct, frozen=True):
    """A book that the services know."""

    number: int
    title: str
    author: str
    isbn13: str
    year: int = 1965
    pages: int = 412
    description: str | None = None

    @property
    def asked(self) -> dict[str, str]:
        """How somebody asks for it by everything they know."""
        return {"title": self.title, "author": self.author, "isbn": self.isbn13}


def isbn_of(number: int) -> str:
    """A valid ISBN-13."""
    digits = f"978{number:09}"
    return f"{digits}{-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10}"


def library(count: int) -> list[Book]:
    """So many books, each with a title and an author that differ from every other's."""
    books = []
    for number in range(count):
        one, two, three = number % 10, number // 10 % 10, number // 100 % 10
        series = f" {number // 1000 + 1}" if number >= 1000 else ""
        title = f"The {_ADJECTIVES[one]} {_NOUNS[two]} of {_PLACES[three]}{series}"
        author = f"{_GIVEN[(one + two) % 10]} {_SURNAMES[(two + three) % 10]}"
        books.append(Book(number, title, author, isbn_of(10_000_000 + number), 1900 + number % 120, 100 + number % 700))
    return books


class Ask(msgspec.Struct, frozen=True):
    """A request that came in.

    Attributes:
        at: monotonic seconds.
        service: who was asked.
        kind: `isbn`, `title`, or `edition`, `work` and `author` for records by their keys.
        keys: the ISBNs, the keys or the one title.
        headers: by name in lower case.
        target: path and query.
    """

    at: float
    service: str
    kind: str
    keys: tuple[str, ...]
    headers: dict[str, str]
    target: str


class Trouble(msgspec.Struct, frozen=True):
    """What happens instead of an answer."""

    status: int = 500
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: str = '{"error": {"message": "trouble"}}'
    hang: bool = False
    cut: bool = False


HTML: Final = Trouble(status=200, headers={"content-type": "text/html"}, body="<html>Back soon</html>")
Plan = Callable[[Ask], Trouble | None]


def dice(seed: int, *, errors: float, hangs: float) -> Plan:
    """Errors and hangs at random, for these shares of the requests."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def plan(_: Ask) -> Trouble | None:
        thrown = source.random()
        if thrown < errors:
            return Trouble()
        return Trouble(hang=True) if thrown < errors + hangs else None

    return plan


class Catalogues:
    """The server.

    Args:
        known: the books each service knows, by its name; one that is not named knows none.
        latency: seconds before each answer.
        limit: requests that a service takes in any second; more are answered with 429 and counted.
        plan: what goes wrong.
        wrong: what is answered for an ISBN instead of its own book.

    Attributes:
        url: where it listens; `open_library_url` and `google_books_url` are below it.
        asks: the requests that came in.
        above: how many of them were above the limit.
        gate: requests wait while it is not set.
    """

    def __init__(
        self,
        known: Mapping[str, Sequence[Book]],
        *,
        latency: float = 0.0,
        limit: int | None = None,
        plan: Plan = lambda _: None,
        wrong: Mapping[str, Book] | None = None,
    ) -> None:
        self._by_isbn = {
            service: {book.isbn13: book for book in books} | dict(wrong or {}) for service, books in known.items()
        }
        self._by_title = {service: {_key(book.title): book for book in books} for service, books in known.items()}
        self._latency = latency
        self._limit = limit
        self.plan = plan
        self.url = ""
        self.asks: list[Ask] = []
        self.above = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._recent: dict[str, deque[float]] = {OPEN_LIBRARY: deque(), GOOGLE_BOOKS: deque()}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that lead to it, without a limit that would slow a test down."""
        return {
            "open_library_url": self.url,
            "google_books_url": f"{self.url}/books/v1",
            "open_library_rate": 1000.0,
            "google_books_rate": 1000.0,
        }

    def keys(self, service: str, kind: str) -> list[str]:
        """What a service was asked for, in order."""
        return [key for ask in self.asks if (ask.service, ask.kind) == (service, kind) for key in ask.keys]

    def repeated(self) -> dict[tuple[str, str, str], int]:
        """What was asked for more than once, and how often."""
        counts = Counter((ask.service, ask.kind, key) for ask in self.asks for key in ask.keys)
        return {what: count for what, count in counts.items() if count > 1}

    def busiest(self, service: str) -> int:
        """The most requests that a service got within any second."""
        times = [ask.at for ask in self.asks if ask.service == service]
        first, most = 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - WINDOW_SECONDS:
                first += 1
            most = max(most, last - first + 1)
        return most

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Catalogues"]:
        """Listen until the context ends."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not await self._exchange(head.decode("latin-1"), writer):
                    return
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # this connection is over, and nothing else
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, head: str, writer: asyncio.StreamWriter) -> bool:
        request, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        ask = _ask(request.split()[1], headers)
        self.asks.append(ask)
        trouble = self._over_limit(ask) or self.plan(ask)
        await self.gate.wait()
        if trouble and trouble.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(self._latency)
        if trouble and trouble.cut:
            return False
        status = trouble.status if trouble else 200
        body = (trouble.body if trouble else json.dumps(self._answer(ask))).encode()
        more = {"content-type": "application/json", **(trouble.headers if trouble else {})}
        fields = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        writer.write(f"HTTP/1.1 {status} Told\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    def _over_limit(self, ask: Ask) -> Trouble | None:
        if self._limit is None:
            return None
        recent = self._recent[ask.service]
        while recent and recent[0] <= ask.at - WINDOW_SECONDS:
            recent.popleft()
        recent.append(ask.at)
        if len(recent) <= self._limit:
            return None
        self.above += 1
        return Trouble(status=429)

    def _answer(self, ask: Ask) -> dict[str, Any]:
        if ask.kind in {"work", "author"}:
            return self._record(ask)
        found = [book for key in ask.keys if (book := self._find(ask, key))]
        if ask.service == GOOGLE_BOOKS:
            return {"totalItems": len(found), "items": [volume(book) for book in found]} if found else {"totalItems": 0}
        if ask.kind in {"isbn", "edition"}:
            pairs = ((key, self._find(ask, key)) for key in ask.keys)
            return {f"{'OLID' if key[0] == 'O' else 'ISBN'}:{key}": edition(book) for key, book in pairs if book}
        return {"numFound": len(found), "docs": [work(book) for book in found]}

    def _record(self, ask: Ask) -> dict[str, Any]:
        number = int(ask.keys[0][2:-1])
        book = next((one for one in self._by_isbn[OPEN_LIBRARY].values() if one.number == number), None)
        return work_record(book) if book and ask.kind == "work" else {}

    def _find(self, ask: Ask, key: str) -> Book | None:
        if key.startswith("OL"):
            known = self._by_isbn.get(ask.service, {}).values()
            return next((book for book in known if key == f"OL{book.number}M"), None)
        index = self._by_title if ask.kind == "title" else self._by_isbn
        return index.get(ask.service, {}).get(_key(key) if ask.kind == "title" else key)


def edition(book: Book) -> dict[str, Any]:
    """As Open Library's `api/books` tells it with `jscmd=details`: the edition as it is recorded."""
    key = f"OL{book.number}M"
    return {
        "bib_key": f"ISBN:{book.isbn13}",
        "info_url": f"https://openlibrary.org/books/{key}",
        "thumbnail_url": f"https://covers.openlibrary.org/b/id/{book.number + 1}-S.jpg",
        "details": {
            "key": f"/books/{key}",
            "type": {"key": "/type/edition"},
            "title": book.title,
            "authors": [{"key": "/authors/OL1A", "name": book.author}],
            "number_of_pages": book.pages,
            "isbn_13": [book.isbn13],
            "identifiers": {"goodreads": ["234225"]},
            "publishers": ["Harbour Press"],
            "publish_date": f"August {book.year}",
            "languages": [{"key": "/languages/eng"}],
            "subjects": ["Fiction"],
            "covers": [-1, book.number + 1],
            "works": [{"key": f"/works/OL{book.number}W"}],
        },
    }


def work_record(book: Book) -> dict[str, Any]:
    """As Open Library records a work: with the key of its author, and mostly without a description."""
    record = {
        "key": f"/works/OL{book.number}W",
        "type": {"key": "/type/work"},
        "title": book.title,
        "authors": [{"type": {"key": "/type/author_role"}, "author": {"key": "/authors/OL1A"}}],
    }
    return record if book.description is None else {**record, "description": {"value": book.description}}


def work(book: Book) -> dict[str, Any]:
    """As Open Library's search tells it: a work, with its best edition."""
    best = {
        "key": f"/books/OL{book.number}M",
        "title": book.title,
        "isbn": [book.isbn13],
        "publisher": ["Harbour Press"],
        "publish_date": [f"{book.year}"],
        "language": ["eng"],
        "cover_i": book.number + 1,
    }
    return {
        "key": f"/works/OL{book.number}W",
        "title": book.title,
        "author_name": [book.author],
        "first_publish_year": book.year,
        "cover_i": book.number + 1,
        "language": ["eng", "fre"],
        "subject": ["Fiction", "Cities"],
        "isbn": [isbn_of(99_000_000 + book.number), book.isbn13],
        "editions": {"numFound": 1, "docs": [best]},
    }


def volume(book: Book) -> dict[str, Any]:
    """As Google Books tells it: with a description in HTML, and a cover by http."""
    return {
        "kind": "books#volume",
        "id": f"google{book.number}",
        "volumeInfo": {
            "title": book.title,
            "authors": [book.author],
            "publisher": "Harbour Press Ltd",
            "publishedDate": f"{book.year}-08-01",
            "description": f"<p>A novel about <b>number {book.number}</b>.</p>",
            "industryIdentifiers": [
                {"type": "ISBN_13", "identifier": book.isbn13},
                {"type": "OTHER", "identifier": "X"},
            ],
            "pageCount": book.pages,
            "categories": ["Fiction"],
            "imageLinks": {"thumbnail": f"http://books.google.com/books/content?id=google{book.number}&zoom=1"},
            "language": "en",
        },
    }


def _ask(target: str, headers: dict[str, str]) -> Ask:
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path == "/books/v1/volumes":
        service, asked = GOOGLE_BOOKS, query["q"]
        kind = "isbn" if asked.startswith("isbn:") else "title"
        keys = [asked.removeprefix("isbn:").removeprefix("intitle:").partition(" inauthor:")[0]]
    elif parts.path == "/api/books":
        bibkeys = query["bibkeys"].split(",")
        service, kind = OPEN_LIBRARY, "isbn" if "ISBN:" in query["bibkeys"] else "edition"
        keys = [key.partition(":")[2] for key in bibkeys]
    elif parts.path.startswith(("/works/", "/authors/")):
        service, kind = OPEN_LIBRARY, parts.path.split("/")[1].removesuffix("s")
        keys = [parts.path.rpartition("/")[2].removesuffix(".json")]
    else:
        assert parts.path == "/search.json", target
        service, kind, keys = OPEN_LIBRARY, "title", [query["title"]]
    return Ask(time.monotonic(), service, kind, tuple(keys), headers, target)


def _key(title: str) -> str:
    return " ".join(title.casefold().split())


def at_first(count: int, trouble: Trouble) -> Plan:
    """Trouble with the first request for every so many-th thing that is asked for."""
    seen: set[str] = set()

    def plan(ask: Ask) -> Trouble | None:
        if ask.target in seen:
            return None
        seen.add(ask.target)
        return trouble if len(seen) % count == 0 else None

    return plan


def always(trouble: Trouble, service: str) -> Plan:
    """Trouble with every request to a service."""
    return lambda ask: trouble if ask.service == service else None


@contextmanager
def serving_in_thread(services: Catalogues) -> Iterator[Catalogues]:
    """Let the server run beside a test that has no event loop."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(services.serving()):
        yield services
