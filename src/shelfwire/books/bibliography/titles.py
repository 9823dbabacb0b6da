"""Titles: main part and subtitles, articles, numbers of volumes and parts, editions, retellings. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from shelfwire.books.bibliography.text import MOST_WORDS, is_plain, text_key, words

NAME_SEPARATOR: Final = "|"
"""Between the names of several authors; no word has it."""
ARTICLES: Final = frozenset({"a", "an", "the", "der", "die", "das", "le", "la", "les", "el", "los", "las", "il", "lo"})

# Text beside the main part of a title shows by one of these.
_IN_PARTS: Final = re.compile(r"[()\[\]:;/\u2013\u2014]|\s-\s|\sor,")
_IN_BRACKETS: Final = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_BRACKETS: Final = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*")
_SUBTITLE: Final = re.compile(r"\s*(?::|;|\s[-\u2013\u2014/]\s|,?\s(?=or,\s))\s*")
# "C#" and "F#", but not "Dune (Dune, #1)".
_SHARP: Final = re.compile(r"(?<=\b[A-Za-z])#(?!\w)")

# Articles that are left out where two titles are compared; those above are left out where titles are indexed, too.
_ALL_ARTICLES: Final = ARTICLES | frozenset(["ein", "eine", "un", "une", "uno", "una", "gli", "het", "een"])
_COUNTERS: Final = {
    word: counter
    for counter, spellings in {
        "volume": "volume volumes vol vols band bd tome tomo deel",
        "part": "part parts pt teil partie parte",
        "book": "book bk buch livre libro boek",
        "number": "number nr num numero nummer issue",
    }.items()
    for word in spellings.split()
}
"""Words for what is numbered, by their spellings: in front of a number these are one."""
_SPELT_NUMBERS: Final = (
    "one first erster erste erstes premier premiere primero primera primo prima",
    "two second zweiter zweite zweites deuxieme seconde segundo segunda secondo seconda",
    "three third dritter dritte drittes troisieme tercero tercera terzo terza",
    "four fourth vierter vierte viertes quatrieme cuarto cuarta quarto quarta",
    "five fifth",
    "six sixth",
    "seven seventh",
    "eight eighth",
    "nine ninth",
    "ten tenth",
    "eleven eleventh",
    "twelve twelfth",
)
"""From one on, the cardinal first."""
_ORDINALS: Final = {
    word: str(number) for number, spellings in enumerate(_SPELT_NUMBERS, 1) for word in spellings.split()[1:]
}
_SPELT: Final = _ORDINALS | {spellings.split()[0]: str(number) for number, spellings in enumerate(_SPELT_NUMBERS, 1)}
_LETTERS: Final = {"i": "1", "v": "5", "x": "10"}
_ONES: Final = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_ROMAN: Final = re.compile(r"(?=[ivx]{2})(x{0,3})(ix|iv|v?i{0,3})")
_LARGE_ROMAN: Final = re.compile(r"(?=.)(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})")
_ORDINAL: Final = re.compile(r"(\d+)(?:st|nd|rd|th|e|er|eme)")
_VALUES: Final = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_EDITIONS: Final = ("edition", "edn", "ed", "auflage", "aufl", "ausgabe", "edicion", "edizione")
_EDITION: Final = re.compile(
    r"\b(?:(?:\d+(?:st|nd|rd|th|e)?|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|revised|expanded"
    r"|updated|enlarged|new|special|anniversary|international|annotated|illustrated|unabridged|deluxe|collectors?"
    rf"|student|reprint|paperback|hardcover|kindle|and) )+(?:{'|'.join(_EDITIONS)})\b"
)
_SAYS_NOTHING: Final = frozenset(
    ["a", "an", "the", "novel", "novella", "roman", "romanzo", "novela", "memoir", "thriller"]
)
_RETOLD: Final = re.compile(r"\b(?:summary|study guide|abridged|cliffs ?notes|spark ?notes|key takeaways)\b")
_EXERCISES: Final = "workbook"
_TELLING: Final = frozenset(
    [
        *(tens + ones for tens in ("", "x", "xx", "xxx") for ones in _ONES if len(tens + ones) > 1),
        *(*_COUNTERS, *_SPELT, *_EDITIONS),
        *("summary", "study", "abridged", "cliffs", "cliffsnotes", "spark", "sparknotes", "key", _EXERCISES),
    ]
)
"""Words by which a title may be more than its letters; most titles have none, and need not be taken apart."""
_THE: Final = "the"
_OR: Final = "or"
"""Begins an alternative title, which is no part of a title: "Moby-Dick; or, The Whale"."""
_FIRST: Final = frozenset({"1"})
_NUMBERS: Final = slice(3, 7)
"""Numbers and marks in a `ComparedTitle`."""
_NONE: Final[frozenset[str]] = frozenset()


class BookName(NamedTuple):
    """Title and authors of a book, as words.

    Attributes:
        title: the main title, without a leading article.
        rest: subtitle, series and other text beside the title.
        author: all authors, with `NAME_SEPARATOR` between them.
    """

    title: str
    rest: str
    author: str


class WrittenBook(NamedTuple):
    """A book as somebody has written or read it.

    Attributes:
        title: as it is written.
        names: its title and authors as words; the second, if the title has brackets, without the text in them.
    """

    title: str
    names: tuple[BookName, ...]


class ComparedTitle(NamedTuple):
    """A title as it is compared with another: numbers in digits, without editions and articles.

    Attributes:
        main: the main title, with the volume or part where there is no other text beside it.
        rest: the text beside it, unless that says nothing, as "a novel".
        whole: main title and rest.
        numbers: of volumes, parts, kings and years in the main title, but for the first.
        rest_numbers: likewise in the rest.
        spelt: numbers of the main title in words, which may be numbers or not: "The Two Towers".
        marks: words of the main title of which every letter counts: "c++", and the last of "Plan B".
        retold: whether it is a summary, an abridgement or a workbook; see `is_retelling`.
    """

    main: str
    rest: str
    whole: str
    numbers: frozenset[str]
    rest_numbers: frozenset[str]
    spelt: frozenset[str]
    marks: frozenset[str]
    retold: bool


def name_of(title: str, subtitle: str | None, authors: Sequence[str]) -> BookName:
    """Title and authors of a book, as words."""
    names = [" ".join(words(author)) for author in authors]
    return BookName(*title_of(title, subtitle), NAME_SEPARATOR.join([name for name in names if name]))


def written(title: str, authors: Sequence[str]) -> WrittenBook:
    """A book by its title and authors as they are written."""
    spellings = dict.fromkeys((title, without_brackets(title)))
    return WrittenBook(title, tuple([name_of(spelling, None, authors) for spelling in spellings]))


def title_of(title: str, subtitle: str | None) -> tuple[str, str]:
    """The words of the title of a book, and of the text beside it; see `BookName`."""
    if len(title) < 2 * MOST_WORDS and "  " not in title and is_plain(title):
        # What most are; cutting it up and putting it together again would take twice as long.
        plain, rest = title.lower().strip(), ""
        first, _, more = plain.partition(" ")
        main = more if more and first in ARTICLES else plain
    else:
        parts, rest = title_parts(title)
        main = " ".join(parts)
    return main, " ".join(without_article(words(f"{rest} {subtitle or ''}"))) if rest or subtitle else ""


def title_parts(title: str) -> tuple[list[str], str]:
    """The words of the main title without a leading article, and the text behind it or in brackets.

    A title with any letters has a main title: "(Title)" and "The" are one.
    """
    if is_plain(title) or not _IN_PARTS.search(title):
        return without_article(words(title)), ""
    title = " ".join(title.split())  # a long run of spaces would be looked at anew from each of them
    bare = _IN_BRACKETS.sub("", title)
    main, *behind = _SUBTITLE.split(bare, maxsplit=1)
    found = words(main)
    if not found:
        return words(title), ""
    rest = " ".join([*behind, *_IN_BRACKETS.findall(title)])
    return without_article(found), rest


def without_article(found: list[str]) -> list[str]:
    """Words without the article they begin with, if more follows."""
    return found[1:] if len(found) > 1 and found[0] in ARTICLES else found


def main_title(title: str) -> str:
    """A title as it is written, without its subtitle and without text in brackets, such as "(Dune, #1)"."""
    bare = without_brackets(title)
    return _SUBTITLE.split(bare, maxsplit=1)[0].strip() or bare


def without_brackets(title: str) -> str:
    """A title as it is written, without text in brackets; a title that is in brackets altogether stays."""
    if "(" not in title and "[" not in title:
        return title
    return _BRACKETS.sub(" ", title).strip() or title


def title_key(title: str) -> str:
    """The key of `text.text_key`, in which "C#" is not "C"."""
    return text_key(_SHARP.sub(" sharp ", title) if "#" in title else title)


def is_retelling(title: str, beside: str) -> bool:
    """Whether a book is a summary or an abridgement of another, or a workbook to it.

    Many a book with exercises says so beside its title; it is a workbook only if its title does.

    Args:
        title: the words of the title.
        beside: the words of the text beside it.
    """
    return _EXERCISES in title.split() or bool(_RETOLD.search(f"{title} {beside}"))


@lru_cache(maxsize=8192)
def compared(title: str, rest: str = "") -> ComparedTitle:
    """A title as it is compared, from its words as `title_of` gives them."""
    found, behind = title.split(), rest.split()
    if _is_only_letters(title, found) and (not behind or _is_only_letters(rest, behind)):
        parts = _parts(found, [] if _adds_nothing(behind) else behind)
        return ComparedTitle(*parts, _NONE, _NONE, _NONE, _NONE, retold=False)
    main, numbers = _numbered((_without_edition(title) or title).split())
    beside, rest_numbers = _numbered(_without_edition(rest).split())
    if beside[:1] == [_OR]:
        beside, rest_numbers = [], _NONE
    if beside and not any(_says_something(word) for word in beside):
        # "Complete Stories: Volume II" is a volume, "Complete Stories (Penguin, 2)" may be a number of a series.
        main, numbers, beside, rest_numbers = [*main, *beside], numbers | rest_numbers, [], _NONE
    elif _adds_nothing(beside):
        beside = []
    marks = {word for word in main if word[-1] in "+#"}
    if len(main) > 1 and len(main[-1]) == 1 and not main[-1].isdecimal():
        marks.add(main[-1])
    return ComparedTitle(
        *_parts(main, beside),
        numbers - _FIRST,
        rest_numbers - _FIRST,
        frozenset(_SPELT[word] for word in main if word in _SPELT),
        frozenset(marks),
        retold=is_retelling(title, rest),
    )


def numbers_agree(one: ComparedTitle, other: ComparedTitle) -> bool:
    """Whether two titles can be of one volume, part, king and year.

    Where only one has a number, it must be the first, or stand beside the title: series are often left out.
    """
    if one[_NUMBERS] == other[_NUMBERS]:
        return True
    if one.marks != other.marks:
        return False
    if one.numbers | one.rest_numbers == other.numbers | other.rest_numbers:
        return not (one.spelt and other.spelt) or not one.spelt.isdisjoint(other.spelt)
    if one.rest_numbers and other.rest_numbers and one.rest_numbers != other.rest_numbers:
        return False
    return one.numbers == other.numbers or one.numbers | one.spelt == other.numbers | other.spelt


def is_numbering(word: str) -> bool:
    """Whether a word beside a title is surely a number of a volume, or names what is numbered."""
    return word.isdecimal() or word in _COUNTERS or bool(_ROMAN.fullmatch(word))


def _parts(main: list[str], beside: list[str]) -> tuple[str, str, str]:
    """Main title and rest without their articles, and both together."""
    title, rest = " ".join(_without_articles(main)), " ".join(_without_articles(beside))
    return title, rest, f"{title} {rest}" if rest else title


def _is_only_letters(text: str, found: Sequence[str]) -> bool:
    """Whether the words of a title have no number, mark, edition or retelling among them."""
    is_plain_text = text.replace(" ", "").isalpha()
    return is_plain_text and _TELLING.isdisjoint(found) and len(found[-1]) > 1


def _adds_nothing(beside: Sequence[str]) -> bool:
    """Whether words beside a title say nothing of the book, as "a novel", or are an alternative title."""
    return _SAYS_NOTHING.issuperset(beside) or beside[0] == _OR


def _without_edition(text: str) -> str:
    return " ".join(_EDITION.sub(" ", text).split()) if " ed" in text or " a" in text else text


def _without_articles(found: list[str]) -> list[str]:
    while len(found) > 1 and found[0] in _ALL_ARTICLES:
        found = found[1:]
    return found


def _says_something(word: str) -> bool:
    return not word.isdecimal() and word not in _COUNTERS and word not in _ALL_ARTICLES


def _numbered(words_found: list[str]) -> tuple[list[str], frozenset[str]]:
    """Words with numbers in digits, behind what they count in one spelling; and the numbers."""
    found = _counters_first(words_found)
    out: list[str] = []
    numbers = set()
    for index, word in enumerate(found):
        before = found[index - 1] if index else ""
        number = _number(word, before, is_last=index == len(found) - 1)
        if number is None:
            out.append(word)
            continue
        numbers.add(number)
        if before in _COUNTERS:
            out[-1] = _COUNTERS[before]
        elif before == _THE:
            out.pop()
        out.append(number)
    return out, frozenset(numbers)


def _counters_first(found: list[str]) -> list[str]:
    """Words with "second volume" as "volume 2"."""
    out = list(found)
    for index, (word, after) in enumerate(pairwise(found)):
        if after in _COUNTERS:
            digits = _ORDINAL.fullmatch(word)
            if number := digits[1] if digits else _ORDINALS.get(word):
                out[index : index + 2] = [after, number]
    return out


def _number(word: str, before: str, *, is_last: bool) -> str | None:
    """The number that a word is in its place, if it is one."""
    if word.isdecimal():
        return word.lstrip("0") or "0"
    if _ROMAN.fullmatch(word):
        return _value(word)
    if before in _COUNTERS:
        return _SPELT.get(word) or (_value(word) if _LARGE_ROMAN.fullmatch(word) else None)
    if before and is_last:
        return _LETTERS.get(word) or (_ORDINALS.get(word) if before == _THE else None)
    return None


def _value(roman: str) -> str:
    values = [_VALUES[letter] for letter in roman]
    following = [*values[1:], 0]
    return str(sum(-value if value < after else value for value, after in zip(values, following, strict=True)))
