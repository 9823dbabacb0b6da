"""Whether two books are the same, by their titles and the people who wrote them. Pure.

A likeness is a number from 0 to 1. Of two titles it counts letters and not spaces, subtitles little, and numbers of
volumes much: "Henry IV" is not "Henry V". Short titles must be the same to the letter, "Emma" and "Gemma" are two; a
longer one may have a slip of the keyboard or the camera for each five letters. Of two people it allows for initials,
inverted names and names that are left out.
"""

from collections.abc import Sequence
from typing import Final

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from shelfwire.books.bibliography.people import PARTICLES
from shelfwire.books.bibliography.text import only_sound_alike
from shelfwire.books.bibliography.titles import (
    NAME_SEPARATOR,
    BookName,
    WrittenBook,
    compared,
    name_of,
    numbers_agree,
    written,
)

TITLE_MATCHES: Final = 0.82
AUTHOR_MATCHES: Final = 0.8
"""From these likenesses on it is the same title, or person, misspelt."""
TITLE_ALONE_MATCHES: Final = 0.9
"""Likewise of a title where one side names nobody."""

_WITHOUT_BRACKETS: Final = 0.98
_LEFT_OUT: Final = 0.9
_ADDED: Final = 0.8
_OTHER_REST: Final = 0.8
_BEGINNING: Final = 0.8
_LONG_ENOUGH: Final = 6
_OTHER_NUMBER: Final = 0.7
_OTHER_KIND: Final = 0.6
_OTHER_ORDER: Final = 0.95
_EXACT_LETTERS: Final = 5
_ONE_SLIP_LETTERS: Final = 7
_LETTERS_OF_A_SLIP: Final = 5
_ARTICLE: Final = "the"
_LETTERS_OF_ARTICLE: Final = range(2, 5)
_FAR: Final = 0.5
"""Below this likeness nothing small makes two titles one."""
_ALMOST: Final = 0.001

_NAMES_LEFT_OUT: Final = 2
_PART_OF_NAME: Final = 0.92
_SAME_NAME: Final = 85
_ALIKE: Final = 0.8
_ALIKE_GIVEN: Final = 70
_OTHER_PERSON: Final = 0.5


def same_book(one: WrittenBook, other: WrittenBook) -> bool:
    """Whether two books are one: the titles agree, and so do the people where both sides name some."""
    author = author_likeness(one.names[0].author, other.names[0].author)
    if author is not None and author < AUTHOR_MATCHES:
        return False
    least = TITLE_ALONE_MATCHES if author is None else TITLE_MATCHES
    return _are_alike(one, other, least)


def same_title(one: str, other: str) -> bool:
    """Whether two titles, as they are written, are of one book where the author is the same."""
    return _are_alike(written(one, ()), written(other, ()), TITLE_MATCHES)


def same_volume(one: str, other: str) -> bool:
    """Whether two titles, as they are written, can be of one volume, part and king, whatever else they are."""
    return _numbers_agree(written(one, ()).names[0], written(other, ()).names[0])


def same_people(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of the people on each side is the same; not if a side names nobody."""
    author = author_likeness(name_of("", None, one).author, name_of("", None, other).author)
    return author is not None and author >= AUTHOR_MATCHES


def asked_likeness(asked: WrittenBook, known: BookName) -> float:
    """The likeness of a title that is asked for, of which text in brackets may be left out, such as "(Dune, #1)"."""
    whole = title_likeness(asked.names[0], known)
    if len(asked.names) == 1 or not _numbers_agree(asked.names[0], known):
        return whole
    return max(whole, _WITHOUT_BRACKETS * title_likeness(asked.names[1], known))


def title_likeness(asked: BookName, known: BookName) -> float:
    """How much two titles are alike.

    "The Two Towers" also asks for "The Lord of the Rings: The Two Towers"; but "Dune: Messiah" does not ask for "Dune".
    So the title that is asked for may leave out more than the known one.
    """
    one, other = compared(asked.title, asked.rest), compared(known.title, known.rest)
    likeness = _mains_alike(one.main, other.main)
    if one.rest or other.rest:
        whole = alike(one.whole, other.whole)
        if one.rest and other.rest:
            likeness = max(whole, _OTHER_REST * likeness)
        elif other.rest:
            likeness = max(whole, _left_out(max(likeness, alike(one.main, other.rest))))
        else:
            likeness = max(whole, _ADDED * likeness, _left_out(alike(one.rest, other.main)))
    # A title may be known by its beginning, but "Foundation" is not "Foundation and Empire".
    if likeness < _BEGINNING and one.main.count(" ") < other.main.count(" "):
        count = one.main.count(" ") + 1
        begun = " ".join(other.main.split(" ", count)[:count])
        if len(begun) >= _LONG_ENOUGH:
            likeness = max(likeness, _BEGINNING * alike(one.main, begun))
    if not numbers_agree(one, other):
        likeness *= _OTHER_NUMBER
    return likeness if one.retold == other.retold else likeness * _OTHER_KIND


def _mains_alike(one: str, other: str) -> float:
    """The likeness of main titles, of which one may have a misspelt article: "Teh museum", "Themuseum"."""
    likeness = alike(one, other)
    if not _FAR < likeness < 1:
        return likeness
    for title, against in ((one, other), (other, one)):
        first, _, more = title.partition(" ")
        if more and len(first) in _LETTERS_OF_ARTICLE and OSA.distance(first, _ARTICLE) == 1:
            likeness = max(likeness, alike(more, against))
        elif first.startswith(_ARTICLE):
            likeness = max(likeness, alike(title, f"{_ARTICLE}{against}"))
    return likeness


def alike(one: str, other: str) -> float:
    """The likeness of two texts by their letters, in this or another order of the words.

    One that differs in more letters than a slip would change is less than any match.
    """
    if one == other:
        return 1.0
    bare, other_bare = one.replace(" ", ""), other.replace(" ", "")
    joined, sorted_ = fuzz.ratio(bare, other_bare), _OTHER_ORDER * fuzz.token_sort_ratio(one, other)
    likeness: float = max(joined, sorted_) / 100
    if likeness < TITLE_MATCHES:
        return likeness
    if joined < sorted_:
        bare, other_bare = ("".join(sorted(text.split())) for text in (one, other))
    return likeness if _are_slips(bare, other_bare) else _other_words(likeness)


def letters_alike(one: str, other: str) -> float:
    """The same of two texts without spaces."""
    likeness: float = fuzz.ratio(one, other) / 100
    return likeness if likeness < TITLE_MATCHES or _are_slips(one, other) else _other_words(likeness)


def author_likeness(asked: str, known: str) -> float | None:
    """How much the likest two of the people on both sides are alike; None where one side names nobody.

    Args:
        asked: words of authors, with `NAME_SEPARATOR` between them.
        known: likewise.
    """
    if not asked or not known:
        return None
    pairs = ((one, other) for one in asked.split(NAME_SEPARATOR) for other in known.split(NAME_SEPARATOR))
    return max(person_likeness(one.split(), other.split()) for one, other in pairs)


def person_likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """The likeness of two names: "J. R. R. Tolkien", "John Ronald Reuel Tolkien" and "Tolkien" are one."""
    if not one or not other:
        return 0.0
    joined = fuzz.ratio("".join(one), "".join(other))
    if joined == 100:  # noqa: PLR2004 - of 100: the same letters
        return 1.0
    whole: float = max(joined, _OTHER_ORDER * fuzz.token_sort_ratio(" ".join(one), " ".join(other))) / 100
    one, other = _without_particles(one), _without_particles(other)
    if len(one) != len(other) and _is_part_of(*sorted((one, other), key=len)):
        return max(whole, _PART_OF_NAME)
    surname: float = fuzz.ratio(one[-1], other[-1]) / 100
    given, other_given = one[:-1], other[:-1]
    if surname < _ALIKE or not given or not other_given:
        return whole
    # Adam Smith is not John Smith, however like.
    return max(whole, surname) if _given_agree(given, other_given) else min(whole, _OTHER_PERSON * surname)


def _other_words(likeness: float) -> float:
    """A likeness that is just no match, and keeps its rank among those that are none."""
    return TITLE_MATCHES - _ALMOST * (2 - likeness)


def _left_out(likeness: float) -> float:
    """A likeness where one title leaves something out: less, but a match if it was one."""
    return min(likeness, TITLE_MATCHES + (likeness - TITLE_MATCHES) * (_LEFT_OUT - TITLE_MATCHES) / (1 - TITLE_MATCHES))


def _are_alike(one: WrittenBook, other: WrittenBook, least: float) -> bool:
    """Whether two titles are alike, whichever of them is asked for."""
    if asked_likeness(one, other.names[0]) < least or asked_likeness(other, one.names[0]) < least:
        return False
    return not only_sound_alike(one.title, other.title)


def _are_slips(one: str, other: str) -> bool:
    """Whether two texts differ in no more letters than are mistyped or misread: in none if they are short."""
    letters = min(len(one), len(other))
    if letters <= _EXACT_LETTERS:
        return one == other
    slips = 1 if letters <= _ONE_SLIP_LETTERS else max(2, letters // _LETTERS_OF_A_SLIP)
    return OSA.distance(one, other, score_cutoff=slips) <= slips


def _numbers_agree(asked: BookName, known: BookName) -> bool:
    return numbers_agree(compared(asked.title, asked.rest), compared(known.title, known.rest))


def _without_particles(names: Sequence[str]) -> Sequence[str]:
    if PARTICLES.isdisjoint(names):
        return names
    return [name for name in names if len(name) == 1 or name not in PARTICLES] or names


def _is_part_of(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether "Tolkien", "Garcia Marquez" or "Cervantes" is meant by a longer name; a given name alone is nobody's."""
    if len(short) == 1 and fuzz.ratio(short[0], long[-1]) >= _SAME_NAME:
        return True
    if len(long) - len(short) > _NAMES_LEFT_OUT:
        return False
    rest = long if len(short) > 1 else long[1:]
    return all(len(name) > 1 and any(fuzz.ratio(name, other) >= _SAME_NAME for other in rest) for name in short)


def _given_agree(given: Sequence[str], other: Sequence[str]) -> bool:
    """Whether given names can be those of one person: the first ones agree, in full or by their initials."""
    first, other_first = given[0], other[0]
    if 1 in (len(first), len(other_first)):
        return first[0] == other_first[0]
    if first.startswith(other_first) or other_first.startswith(first):
        return True
    initials, other_initials = ("".join(name[0] for name in names) for names in (given, other))
    return first == other_initials or other_first == initials or fuzz.ratio(first, other_first) >= _ALIKE_GIVEN
