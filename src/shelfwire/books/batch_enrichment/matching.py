"""How sure it is that a record is the book that was asked for. Pure.

A score is a number from 0 to 1. From `THRESHOLD` on a record is a match, below it a candidate to show to a person.
Found by ISBN, a record is trusted unless title and author speak against it: mistyped ISBNs are common, and so are
providers that answer with another book. Found by title, the title must agree, and the author where both sides name one.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec
from anyascii import anyascii
from rapidfuzz import fuzz

from shelfwire.books.batch_enrichment.port import Record
from shelfwire.books.batch_enrichment.request import AskedBook
from shelfwire.books.csv_import.people import authors_of_any_list

THRESHOLD: Final = 0.75
TITLE_ALONE: Final = 0.85
"""The score of the very same title where the author is not known: many books share a title."""
SHARED_TITLE: Final = 0.9
"""What is left of that where books of several authors have it."""
ISBN_ALONE: Final = 0.95
"""The score of a record with the ISBN asked for where nothing else can be compared."""
ISBN_AGAINST_TITLE: Final = 0.5
ISBN_WITH_AUTHOR: Final = 0.85
OTHER_AUTHOR: Final = 0.6
AGREES: Final = 0.8
DIFFERS: Final = 0.6
OTHER_NUMBER: Final = 0.7
OTHER_KIND: Final = 0.6
"""What is left where one is a summary, an abridgement or a workbook, and the other the book itself."""
STRICTNESS: Final = 1.5
"""The power that the likeness of titles is raised to: the books of one series are alike."""
BARE_TITLE: Final = 0.98
PART_OF_TITLE: Final = 0.9
MORE_THAN_TITLE: Final = 0.8
ONLY_SURNAME: Final = 0.95
ALIKE_NAMES: Final = 0.85
NAMESAKE: Final = 0.5

_IN_BRACKETS: Final = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*")
_SUBTITLE: Final = re.compile(r"\s*(?::|;|\s[-\u2013\u2014/]\s)\s*")
_NOT_WORDS: Final = re.compile(r"[^\w+#]+|_")
_NUMBER: Final = re.compile(r"\d+|[ivx]{2,}")
_COUNTED: Final = frozenset({"volume", "vol", "part", "book", "tome", "band", "teil", "tomo", "parte", "number", "no"})
"""What is numbered: after one of these, a word or a single letter is a number as well."""
_SPELT: Final = {
    word: str(number)
    for number, words in enumerate(
        (
            "i one first",
            "ii two second",
            "iii three third",
            "iv four fourth",
            "v five fifth",
            "vi six sixth",
            "vii seven seventh",
            "viii eight eighth",
            "ix nine ninth",
            "x ten tenth",
        ),
        start=1,
    )
    for word in words.split()
}
_RETOLD: Final = re.compile(r"\b(?:summary|study guide|abridged|cliffs ?notes|spark ?notes|key takeaways)\b")
_EXERCISES: Final = "workbook"
_ARTICLES: Final = frozenset({"a", "an", "the", "der", "die", "das", "le", "la", "les", "el", "los", "il", "lo", "de"})


class Way(StrEnum):
    """How a record was found."""

    ISBN = "isbn"
    TITLE = "title"


class Match(msgspec.Struct, frozen=True, gc=False):
    """A record of a provider, and what speaks for it.

    Attributes:
        provider: who told it.
        record: what it tells.
        way: how it was found.
        score: how sure it is that this is the book, from 0 to 1.
    """

    provider: str
    record: Record
    way: Way
    score: float

    @property
    def is_sure(self) -> bool:
        """Whether it is a match and not only a candidate."""
        return self.score >= THRESHOLD


def ranked(asked: AskedBook, provider: str, records: Sequence[Record], way: Way) -> list[Match]:
    """Score what a provider found, the best first; of equals, the provider's own favourite."""
    score = score_by_isbn if way is Way.ISBN else score_by_title
    shared = way is Way.TITLE and not asked.author and _is_shared(asked.title, records)
    matches = [
        Match(provider, record, way, round(score(asked, record) * (SHARED_TITLE if shared else 1), 3))
        for record in records
    ]
    return sorted(matches, key=lambda match: -match.score)


def score_by_isbn(asked: AskedBook, record: Record) -> float:
    """How sure it is that what was found under the ISBN asked for is the book."""
    if record.isbn13s and asked.isbn13 not in record.isbn13s:
        return min(score_by_title(asked, record), ISBN_WITH_AUTHOR)
    if is_number(asked.title):
        return ISBN_ALONE
    title = title_similarity(asked.title, record)
    author = author_similarity(asked.author, record.authors)
    if title >= DIFFERS:
        return ISBN_ALONE + (1 - ISBN_ALONE) * title if author is None or author >= DIFFERS else AGREES
    if author is not None and author >= AGREES:
        return ISBN_WITH_AUTHOR
    return ISBN_AGAINST_TITLE


def score_by_title(asked: AskedBook, record: Record) -> float:
    """How sure it is that a record is the book, by what it is called and who wrote it."""
    title = math.pow(title_similarity(asked.title, record), STRICTNESS)
    author = author_similarity(asked.author, record.authors)
    if author is None:
        return title * TITLE_ALONE
    if author >= AGREES:
        return title * (0.8 + 0.2 * author)
    return title * (OTHER_AUTHOR if author < DIFFERS else TITLE_ALONE)


def title_similarity(title: str, record: Record) -> float:
    """How much a title is like one of those that a record goes by, from 0 to 1."""
    names = [record.title, *([record.work_title] if record.work_title else ())]
    if record.subtitle:
        names.append(f"{record.title}: {record.subtitle}")
    same_kind = _is_about_a_book(title) == _is_about_a_book(record.title, record.subtitle)
    return max(_titles_alike(title, name) for name in names) * (1 if same_kind else OTHER_KIND)


def author_similarity(author: str | None, authors: Sequence[str]) -> float | None:
    """How much a person that was asked for is like one of a book's authors; None where one side names nobody."""
    asked = authors_of_any_list(author) if author else ()
    pairs = [(one, other) for one in asked for other in authors]
    return max((_people_alike(one, other) for one, other in pairs), default=None)


def _titles_alike(asked: str, told: str) -> float:
    bare, told_bare = _without_brackets(asked), _without_brackets(told)
    score = max(_alike(asked, told), BARE_TITLE * _alike(bare, told_bare))
    parts, told_parts = _SUBTITLE.split(bare, maxsplit=1), _SUBTITLE.split(told_bare, maxsplit=1)
    # "Emma" is "Emma: A Novel", and "The Two Towers" is "The Lord of the Rings: The Two Towers". The other way round
    # it is a guess, and "Dune: Part One" and "Dune: Part Two" differ as a whole.
    if len(parts) < len(told_parts):
        score = max(score, *(PART_OF_TITLE * _alike(bare, part) for part in told_parts))
    elif len(told_parts) < len(parts):
        score = max(score, MORE_THAN_TITLE * _alike(parts[0], told_bare))
    return score * (OTHER_NUMBER if _is_other_number(asked, told) else 1)


def _is_about_a_book(title: str, subtitle: str | None = None) -> bool:
    """Whether it is a summary of another book, or a part of it; many a book with exercises says so in its subtitle."""
    words = _words(title)
    return _EXERCISES in words or bool(_RETOLD.search(" ".join((*words, *_words(subtitle or "")))))


def _is_other_number(asked: str, told: str) -> bool:
    """Whether two titles are of different volumes, years or kings."""
    numbers, told_numbers = _numbers(asked), _numbers(told)
    if numbers and told_numbers:
        return numbers != told_numbers
    # Where only one has a number, the first volume often goes by the title of all; and what stands behind the title or
    # in brackets is often left out.
    return not _numbers(main_title(asked)) | _numbers(main_title(told)) <= {"1"}


def main_title(title: str) -> str:
    """A title without its subtitle and without what stands in brackets, such as "(Dune, #1)"."""
    bare = _without_brackets(title)
    return _SUBTITLE.split(bare, maxsplit=1)[0].strip() or bare


def _without_brackets(title: str) -> str:
    return _IN_BRACKETS.sub(" ", title).strip() or title


def _alike(one: str, other: str) -> float:
    words, others = _words(one), _words(other)
    if not words or not others:
        return float(one == other)
    joined = "".join(words), "".join(others)
    scores = (
        fuzz.ratio(*joined),
        fuzz.token_sort_ratio(" ".join(words), " ".join(others)),
    )
    return max(scores) / 100


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    folded = anyascii(unicodedata.normalize("NFKD", text).casefold()).casefold()
    words = _NOT_WORDS.sub(" ", folded.replace("'", "").replace("&", " and ")).split()
    return tuple(word for word in words if word not in _ARTICLES) or tuple(words)


def _numbers(title: str) -> frozenset[str]:
    words = _words(title)
    found = {_SPELT.get(word, word.lstrip("0") or "0") for word in words if _NUMBER.fullmatch(word)}
    found.update(_SPELT[word] for what, word in pairwise(words) if what in _COUNTED and word in _SPELT)
    if len(words) > 1 and len(words[-1]) == 1 and words[-1] in _SPELT:
        found.add(_SPELT[words[-1]])  # Henry V
    return frozenset(found)


def is_number(title: str) -> bool:
    """Whether what is called the title is an ISBN, as in lists without titles."""
    digits = re.sub(r"[\s-]", "", title)
    return len(digits) in (10, 13) and digits[:-1].isdecimal()


def _people_alike(one: str, other: str) -> float:
    names, others = _words(one.replace(".", ". ")), _words(other.replace(".", ". "))
    if not names or not others:
        return float(one == other)
    whole = fuzz.token_sort_ratio(" ".join(names), " ".join(others)) / 100
    joined = fuzz.ratio("".join(names), "".join(others)) / 100
    alike: float = max(whole, joined)
    short, long = sorted((names, others), key=len)
    if _is_part_of(short, long):
        return max(alike, ONLY_SURNAME)
    surname: float = fuzz.ratio(names[-1], others[-1]) / 100
    if alike >= ALIKE_NAMES or surname < AGREES or min(len(names[-1]), len(others[-1])) == 1:
        return alike
    # "J. R. R. Tolkien" is "John Ronald Reuel Tolkien", however unlike; Adam Smith is not John Smith, however like.
    return surname if _given_agree(names[0], others[0]) else min(alike, NAMESAKE)


def _given_agree(given: str, other: str) -> bool:
    if len(given) == 1 or len(other) == 1:
        return given[0] == other[0]
    return given.startswith(other) or other.startswith(given) or fuzz.ratio(given, other) / 100 >= AGREES


def _is_part_of(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether "Garcia Marquez" or "Cervantes" is meant by a longer name; a given name alone means nobody."""
    rest = long if len(short) > 1 else long[1:]
    return all(len(name) > 1 and any(fuzz.ratio(name, other) / 100 >= ALIKE_NAMES for other in rest) for name in short)


def _is_shared(title: str, records: Sequence[Record]) -> bool:
    """Whether books of several authors have just this title."""
    alike = [record for record in records if record.authors and title_similarity(title, record) >= BARE_TITLE]
    return any(author_similarity(alike[0].authors[0], record.authors) != 1.0 for record in alike[1:])
