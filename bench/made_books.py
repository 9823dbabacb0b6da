"""Makes up a world of books, writes them down as Open Library's dumps have them, and misspells them.

Words are as frequent as in real titles: a few hundred are everywhere, most occur once or twice, and many are alike.
The same seed gives the same books. No person or book is meant to be a real one.
"""

import gzip
import itertools
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from examples.make_library import ADJECTIVES, FIRST_NAMES, LAST_NAMES, NOUNS, PEOPLE, PLACES, THINGS

SYLLABLES: Final = [
    "al",
    "an",
    "ar",
    "bar",
    "bel",
    "ber",
    "bran",
    "cal",
    "can",
    "car",
    "cor",
    "dal",
    "dan",
    "del",
    "dor",
    "el",
    "en",
    "er",
    "fal",
    "fen",
    "fer",
    "gal",
    "gar",
    "hal",
    "har",
    "hol",
    "in",
    "kel",
    "ken",
    "lan",
    "lar",
    "len",
    "lin",
    "lor",
    "mal",
    "man",
    "mar",
    "mel",
    "men",
    "mer",
    "mor",
    "nal",
    "nar",
    "nel",
    "nor",
    "or",
    "pal",
    "par",
    "pel",
    "per",
    "pol",
    "ral",
    "ran",
    "rel",
    "ren",
    "ric",
    "rin",
    "rol",
    "sal",
    "san",
    "sel",
    "sen",
    "ser",
    "sol",
    "tal",
    "tan",
    "tel",
    "ten",
    "ter",
    "tol",
    "ur",
    "val",
    "van",
    "ven",
    "ver",
    "vil",
    "vol",
    "wal",
    "wen",
    "wil",
    "win",
]
ENDINGS: Final = ("a", "e", "s", "ed", "er", "ing", "ion", "ism", "ity", "y", "", "", "")
FRAMES: Final = ("{} {}", "the {} {}", "{} of {}", "the {} of the {}", "a {} in {}", "{}", "the {}", "{} and the {} {}")
SUBTITLES: Final = ("a novel", "a memoir", "stories", "an introduction", "essays", "the life of {} {}")
COPIES: Final = 1.25
"""Editions for each work."""


class Made(NamedTuple):
    """A book of this world."""

    title: str
    author: str
    isbn: str


class World:
    """Books, and the dice they are made with.

    Args:
        editions: how many.
        seed: for the dice.
    """

    def __init__(self, editions: int, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
        common = [word.lower() for word in (*ADJECTIVES, *NOUNS, *PEOPLE, *THINGS) if word.isalpha()]
        self._words = [*common, *PLACES, *self._rare(editions // 5)]
        self._weights = list(itertools.accumulate(1 / (rank + 20) for rank in range(len(self._words))))
        surnames = [*LAST_NAMES, *(word.capitalize() for word in self._rare(editions // 20))]
        self._authors = [
            f"{self.dice.choice(FIRST_NAMES)} {self._initial()}{self.dice.choice(surnames)}"
            for _ in range(editions // 4)
        ]
        self.books = [self._book(number) for number in range(int(editions / COPIES))]
        self._editions = editions

    def write(self, folder: Path) -> list[Path]:
        """Write the dumps of authors, works and editions, packed."""
        number_of = {name: number for number, name in enumerate(self._authors, 1)}
        authors = (("author", f"/authors/OL{number}A", {"name": name}) for name, number in number_of.items())
        works = (
            (
                "work",
                f"/works/OL{number}W",
                {"title": book.title, "authors": [{"author": {"key": f"/authors/OL{number_of[book.author]}A"}}]},
            )
            for number, book in enumerate(self.books, 1)
        )
        editions = (self._edition(number) for number in range(1, self._editions + 1))
        return [
            _dump(folder / "authors.txt.gz", authors),
            _dump(folder / "works.txt.gz", works),
            _dump(folder / "editions.txt.gz", editions),
        ]

    def misspelt(self, text: str, errors: int) -> str:
        """A text with so many letters left out, doubled, changed or swapped."""
        letters = list(text)
        for _ in range(errors):
            at = self.dice.randrange(len(letters))
            match self.dice.randrange(4):
                case 0 if len(letters) > 3:
                    del letters[at]
                case 1:
                    letters.insert(at, letters[at])
                case 2 if at + 1 < len(letters):
                    letters[at : at + 2] = letters[at + 1], letters[at]
                case _:
                    letters[at] = self.dice.choice("abcdefghijklmnopqrstuvwxyz")
        return "".join(letters)

    def spine(self, book: Made) -> list[str]:
        """What is read on a spine: lines in capitals, with wrong letters, lost spaces and a publisher."""
        lines = [self._read(book.title), self._read(book.author)]
        if self.dice.random() < 0.5:
            lines.reverse()
        return [*lines, *self.dice.choice([[], ["PENGUIN"], ["VINTAGE CLASSICS"], ["Larkspur"]])]

    def _read(self, text: str) -> str:
        wrong = {"o": "0", "i": "l", "m": "rn", "e": "c", "a": "o", "l": "I", "s": "5", "n": "h"}
        dice = self.dice.random
        return "".join(
            wrong.get(letter, letter) if dice() < 0.06 else letter for letter in text if letter != " " or dice() > 0.1
        ).upper()

    def _rare(self, count: int) -> list[str]:
        made = {
            "".join(self.dice.choices(SYLLABLES, k=self.dice.choice((1, 2, 2, 3)))) + self.dice.choice(ENDINGS)
            for _ in range(count)
        }
        return sorted(word for word in made if len(word) > 3)

    def _initial(self) -> str:
        return f"{self.dice.choice('ABCDEFGHJKLMPRST')}. " if self.dice.random() < 0.2 else ""

    def _book(self, number: int) -> Made:
        frame = self.dice.choice(FRAMES)
        words = self.dice.choices(self._words, cum_weights=self._weights, k=frame.count("{}"))
        title = frame.format(*words)
        return Made(title[:1].upper() + title[1:], self.dice.choice(self._authors), isbn13(number))

    def _edition(self, number: int) -> tuple[str, str, dict[str, object]]:
        place = (number - 1) % len(self.books)
        book = self.books[place]
        record: dict[str, object] = {
            "title": book.title,
            "works": [{"key": f"/works/OL{place + 1}W"}],
            "isbn_13": [isbn13(number - 1)],
            "publishers": [self.dice.choice(("Larkspur", "Quill & Co.", "Harbour House", "Old Mill Press"))],
            "publish_date": str(self.dice.randrange(1890, 2026)),
            "number_of_pages": self.dice.randrange(60, 900),
            "languages": [{"key": "/languages/eng"}],
            "created": {"type": "/type/datetime", "value": "2008-04-01T03:28:50.625462"},
            "last_modified": {"type": "/type/datetime", "value": "2021-10-04T05:39:45.153197"},
            "latest_revision": 3,
            "revision": 3,
        }
        if self.dice.random() < 0.2:
            subtitle = self.dice.choice(SUBTITLES)
            record["subtitle"] = subtitle.format(*self.dice.choices(self._words, k=2))
        return "edition", f"/books/OL{number}M", record


def isbn13(number: int) -> str:
    """The ISBN of the number's book."""
    digits = f"978{number:09}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _dump(path: Path, lines: Iterable[tuple[str, str, Mapping[str, object]]]) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for kind, key, record in lines:
            whole = {"key": key, "type": {"key": f"/type/{kind}"}, **record}
            file.write(f"/type/{kind}\t{key}\t3\t2021-10-04T05:39:45.153197\t".encode())
            file.write(msgspec.json.encode(whole) + b"\n")
    return path
