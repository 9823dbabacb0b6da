"""`shelfwire scan --review`: asks a person about the books that were read with doubt, and keeps what they say."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from shelfwire.cli.progress_summary import clean
from shelfwire.client import Client, JobHandle

SURE: Final = 0.95
"""From this confidence on nobody is asked."""
CHOICES: Final = "Enter: right · t: title · a: author · x: no book · q: stop"
AUTHORS: Final = "  Authors, with semicolons between them: "
MAX_SHOWN: Final = 200

Ask = Callable[[str], Awaitable[str | None]]
"""Shows a text, and returns the line that is typed; None where there is no more."""


@dataclass(frozen=True)
class Doubtful:
    """A book that a person should look at.

    Attributes:
        index: the index of its photo's item.
        book: its place among the books of the photo.
        title, authors: as they were read.
        confidence: how sure that is, from 0 to 1.
        text: all that was read on it.
    """

    index: int
    book: int
    title: str
    authors: tuple[str, ...]
    confidence: float
    text: str


def doubtful(item: dict[str, Any]) -> Iterator[Doubtful]:
    """Return the books of a photo that a person should look at."""
    if not item["ok"]:
        return
    for place, book in enumerate(item["result"].get("books", ())):
        if book["review"] and book["confidence"] < SURE:
            authors = tuple(book["authors"])
            yield Doubtful(item["index"], place, book["title"], authors, book["confidence"], book["text"])


async def decide(book: Doubtful, ask: Ask) -> dict[str, Any] | None:
    """Ask about one book until it is settled, and return the correction; None to stop."""
    title, authors = book.title, book.authors
    while True:
        by = f" by {clean(', '.join(authors))}" if authors else ""
        shown = f"{clean(title)}{by}\n  read ({book.confidence:.0%}): {clean(book.text)[:MAX_SHOWN]}\n  {CHOICES}: "
        match await ask(shown):
            case None | "q":
                return None
            case "":
                return {"book": book.book, "title": title, "authors": list(authors)}
            case "x":
                return {"book": book.book, "struck": True}
            case "t":
                title = await _other(ask, "  Title: ") or title
            case "a":
                authors = tuple(names_in(await _other(ask, AUTHORS) or ""))
            case _:
                pass


async def _other(ask: Ask, question: str) -> str | None:
    answer = await ask(question)
    return None if answer is None else answer.strip()


async def review(client: Client, job: JobHandle, ask: Ask, *, missed: bool = False) -> list[int]:
    """Ask about all doubtful books of a scan, and say what came of it; each answer is kept at once.

    Args:
        client: speaks to the job's server.
        job: the scan.
        ask: asks a person.
        missed: whether to ask for books that were not found, too.

    Returns:
        The indices of the photos of which everything was answered.
    """
    photos = [item async for item in client.results(job) if item["ok"]]
    doubts = [(item, list(doubtful(item))) for item in photos]
    count = sum(len(books) for _, books in doubts)
    if not count:
        sys.stdout.write("\nNo book was read with doubt.\n")
    settled, finished = 0, []
    for item, books in doubts:
        given: list[dict[str, Any]] = []
        for book in books:
            sys.stdout.write(f"\n{settled + 1} of {count}, photo {book.index + 1}: ")
            correction = await decide(book, ask)
            if correction is None:
                break
            given.append(correction)
            await client.correct(job, book.index, given)
            settled += 1
        if len(given) < len(books):
            break
        if missed:
            given += [one async for one in _missed(item, ask)]
            await client.correct(job, item["index"], given)
        finished.append(item["index"])
    if count:
        sys.stdout.write(f"\nLooked at {settled:,} of {count:,}. See them with: shelfwire results last\n")
    return finished


async def _missed(item: dict[str, Any], ask: Ask) -> AsyncIterator[dict[str, Any]]:
    """Ask for the books on a photo that were not found, and yield each as a correction."""
    place = len(item["result"]["books"])
    while title := await _other(ask, f"  A book on photo {item['index'] + 1} that was missed (Enter: none): "):
        authors = names_in(await _other(ask, AUTHORS) or "")
        yield {"book": place, "title": title, "authors": authors}
        place += 1


def names_in(text: str) -> list[str]:
    """The names in what was typed for authors."""
    return [name.strip() for name in text.split(";") if name.strip()]


async def typed(shown: str) -> str | None:
    """Show a text, and return the next line of the standard input."""
    sys.stdout.write(shown)
    sys.stdout.flush()
    line = await asyncio.to_thread(sys.stdin.readline)
    return line.rstrip("\r\n") if line else None
