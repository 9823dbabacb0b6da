"""Lines of Open Library's dumps, as these are, made up."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def author(number: int, name: str) -> str:
    return line("author", f"/authors/OL{number}A", name=name)


def work(number: int, title: str, authors: Iterable[int] = (), **more: Any) -> str:
    people = [{"author": {"key": f"/authors/OL{one}A"}, "type": {"key": "/type/author_role"}} for one in authors]
    return line("work", f"/works/OL{number}W", title=title, authors=people, **more)


def edition(number: int, title: str, of: int | None = None, authors: Iterable[int] = (), **more: Any) -> str:
    works = {} if of is None else {"works": [{"key": f"/works/OL{of}W"}]}
    people = [{"key": f"/authors/OL{one}A"} for one in authors]
    return line("edition", f"/books/OL{number}M", title=title, authors=people, **works, **more)


def line(kind: str, key: str, **record: Any) -> str:
    text = json.dumps({"key": key, "type": {"key": f"/type/{kind}"}, **record}, ensure_ascii=False)
    return f"/type/{kind}\t{key}\t3\t2024-05-06T07:08:09.101112\t{text}\n"


def write(path: Path, *lines: str) -> Path:
    data = "".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


AUSTEN = author(21594, "Jane Austen")
EMMA = work(66513, "Emma", [21594], subjects=["Matchmaking"], description="A comedy of manners.", covers=[-1, 9278312])
PENGUIN = edition(
    7353617,
    "Emma",
    of=66513,
    isbn_13=["978-0-14-143958-7"],
    isbn_10=["0141439580", "not one"],
    publishers=["Penguin Classics"],
    publish_date="May 6, 2003",
    number_of_pages=474,
    languages=[{"key": "/languages/eng"}],
    identifiers={"goodreads": ["6969"]},
)
