"""Single values of a book - ratings, years, pages, shelves, texts - from the forms in which exports write them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from shelfwire.books.bibliography.text import ascii_digits, text_key
from shelfwire.books.csv_import.vocabulary import phrases_of, vocabulary

MAX_REVIEW_CHARACTERS: Final = 100_000
"""The longest review that is kept whole."""
_MOST_BYTES_A_CHARACTER: Final = 6  # a control character, as \u0001
MAX_REVIEW_BYTES: Final = 110_000
"""As JSON: a review and notes of this size fit into an item (`jobs.outcomes.MAX_ITEM_BYTES`) beside the rest."""
MAX_TEXT_CHARACTERS: Final = 2_000
"""The longest title, and the longest other text but reviews and notes."""
STARS: Final = 5
_LEAST_STARS: Final = 0.25

_SHELF_BY_KEY: Final = {name: shelf for shelf, names in vocabulary("reading_states").items() for name in names}
_FILLERS: Final = frozenset(
    word
    for line in (
        "i im me it this book now currently still one day soon ich es das dieses buch gerade derzeit momentan aktuell",
        "noch irgendwann bald ik het dit boek nu nog ooit momenteel binnenkort je le ce livre actuellement maintenant",
        "encore bientot yo lo este libro ahora actualmente todavia pronto eu o livro agora atualmente ainda breve io",
        "questo ora adesso attualmente ancora presto jag jeg boken bogen just nu na fortfarande snart akkurat ja teraz",
        "obecnie jeszcze wkrotce ksiazke su an simdi henuz bu kitabi ted prave jeste brzo most meg acum inca sada jos",
        "yakinda yakin zamanda вскоре скоро niedlugo hamarosan brzy bientot proximamente kmalu soon",
        "я сейчас ещё скоро эту книгу зараз ще сега още τωρα ακομα το",  # noqa: RUF001 - these letters are meant
    )
    for word in map(text_key, line.split())
)
"""Words, as keys, that a reading state means the same without: who reads, and when."""
_DATE_WORDS: Final = frozenset(
    word
    for line in (
        "on in at since from am im seit vom le en depuis dès il dal el desde em op sinds den dnia w od",
        "с в от منذ في - –",  # noqa: RUF001 - these letters are meant
    )
    for word in line.split()
)
"""Words between a reading state and its date: "Finished on Aug 12 2010"."""
_PROGRESS: Final = re.compile(
    r"^(?:at |bei |à |al |@ ?|~ ?)?(?:\d{1,3} ?%|(?:p|pp|pg|page|pages|s|seite|página|pag)\.? ?\d{1,4}"
    r"(?:(?:/| of | von )\d{1,4})?|\d{1,4}/\d{1,4})(?: done| read| gelesen)?$",
    re.IGNORECASE,
)
"""How far a book is read, behind its state."""
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_MOST_STATE_WORDS: Final = 5
_TIMES_IN_WORDS: Final = {"twice": 2, "zweimal": 2, "thrice": 3, "dreimal": 3}
_TIMES: Final = re.compile(
    rf"[\s,]+\(?(?:(?P<word>{'|'.join(_TIMES_IN_WORDS)})|x\s?(?P<after>\d{{1,2}})|(?P<before>\d{{1,2}})\s?"
    r"(?:x|times|mal|fois|veces|vezes|volte|keer|gånger|ganger|gange|razy?|раза?|krát|kez|kere))\)?$",
    re.IGNORECASE,
)
_MOST_STATE_CHARACTERS: Final = 80
STATES: Final = ("currently-reading", "read", "did-not-finish", "paused", "to-read", "wishlist", "owned")
"""The states of a book on several shelves, the one that counts first."""

_ANSWERS: Final = vocabulary("answers")
_YES: Final = _ANSWERS["yes"]
_NO: Final = _ANSWERS["no"]
_NOTHING: Final = frozenset(
    {"n/a", "na", "nan", "none", "null", "nil", "unknown", "unrated", "not rated", "no rating", "-", "--"}
    | {"?", "no", "no isbn", "[]", "{}", "()", '""', "undefined", "(not set)", "tbd", "нет", "なし", "无"}
)

_OUT_OF: Final = r"(?:/|／|out of|of|von|sur|de|di|van|av|na|из|من|max\.?)"  # noqa: RUF001 - a bar of full width
_SCORE: Final = re.compile(
    rf"^(\d{{1,3}}(?:[.,]\d{{1,9}})?)(?:\s*{_OUT_OF}\s*(\d{{1,3}})|\s*(%))?(?!\d)"
    r"(?:\s*(?:stars?|sterne?|étoiles?|estrellas?|stelle|estrelas|sterren|stjärnor|gwiazdk\w+|зв[её]зд\w*|points?"
    r"|punkte?|pkt\.?|punti|puntos|pontos|星|点|分|점))?$",
    re.IGNORECASE,
)
_STARS: Final = re.compile("[\u2605\u2b50\U0001f31f]")
_SYMBOLS: Final = re.compile("(?:\\*|[\u2764\u2665\U0001f499-\U0001f49c\U0001f9e1\U0001f5a4]){1,5}")
_HALF_IN_DIGITS: Final = re.compile(r"(?<=[\d\u2605\u2b50*])\s*\b1/2$|(?<=[\u2605\u2b50])1/2$")
_LETTER: Final = re.compile(r"([A-F])\s*([+\u2212\u2013-]?)")
_LETTERS: Final = {"A": 5.0, "B": 4.0, "C": 3.0, "D": 2.0, "E": 1.0, "F": 1.0}
_SIGNS: Final = {"": 0.0, "+": 0.25}
_WORDS: Final = {word: float(stars) for stars, words in vocabulary("marks").items() for word in words}
_DICE: Final = frozenset({"terningkast"})
"""Columns of marks of one to six, as Norwegian newspapers give them."""
_SIDES: Final = 6
_SCALE_IN_NAME: Final = re.compile(
    rf"(?:(?<![^\W\d_]){_OUT_OF}|(?<!\d)[01]\s*(?:[-\u2013]|to|bis|à|a|al|do|t/m|до))\s*(\d{{1,3}})\b"
    r"|\b(\d{1,3})\s*(?:üzerinden|点満点|分制|分满分|점 만점|점만점|-?punkte?)",
    re.IGNORECASE,
)
_SHORTHAND: Final = re.compile(r"^(\d)\s*([½¼¾])$")
_HALVES: Final = {"½": 0.5, "¼": 0.25, "¾": 0.75}
_YEAR: Final = re.compile(r"(?<!\d)(1\d{3}|20\d{2}|2100)(?!\d)")
_EARLY_YEAR: Final = re.compile(r"^-?\d{1,4}$")
_THOUSANDS: Final = re.compile(r"^\d{1,3}(?:[.,' \xa0]\d{3})+$")
_NUMBER: Final = re.compile(r"\d+")
_LAST_YEAR: Final = 2100
_MAX_PAGES: Final = 100_000
_POSITION: Final = re.compile(r"\s*\(#[\d.]+\)$")
# The highest rating of a column shows its scale.
_SCALES: Final = (5, 10, 20, 100)


@lru_cache(maxsize=1024)
def parse_rating(cell: str, scale: int = STARS) -> float | None:
    """A rating in stars, 0.25 to 5, to two decimals; None if there is none, which exports write as 0.

    Args:
        cell: A number with either decimal mark, stars, or a number with its scale such as "7/10".
        scale: The best rating where the cell does not name it.

    Raises:
        ValueError: The cell holds something else, or more than the best rating.
    """
    cell = _HALF_IN_DIGITS.sub("½", ascii_digits(cell).replace("\ufe0f", ""))
    stars = len(_STARS.findall(cell))
    if stars and not any(character.isdecimal() for character in cell):
        return min(stars + sum(value for sign, value in _HALVES.items() if sign in cell), STARS)
    cell = _STARS.sub("", cell).strip()
    if half := _SHORTHAND.match(cell):
        cell = str(int(half[1]) + _HALVES[half[2]])
    match = _SCORE.match(cell)
    if not match:
        if is_nothing(cell) or not cell.strip("☆"):
            return None
        return _unnumbered(cell)
    best = int(match[2] or 0) or (100 if match[3] else scale)
    rating = round(float(match[1].replace(",", ".")) * STARS / best, 2)
    if rating > STARS:
        raise ValueError(cell)
    return rating if rating >= _LEAST_STARS else None


def _unnumbered(cell: str) -> float:
    """The stars of a mark without a number: of symbols, a letter, or words."""
    if _SYMBOLS.fullmatch(cell):
        return float(len(cell))
    if letter := _LETTER.fullmatch(cell.strip().upper()):
        return min(_LETTERS[letter[1]] + _SIGNS.get(letter[2], -0.25), STARS)
    if (stars := _WORDS.get(text_key(cell))) is not None:
        return stars
    raise ValueError(cell)


def is_in_letters(cell: str) -> bool:
    """Whether a cell has a mark of a school, such as "A+" or "b-"."""
    return _LETTER.fullmatch(cell.strip().upper()) is not None


def is_in_words(cell: str) -> bool:
    """Whether a cell has a mark in words."""
    return text_key(cell) in _WORDS


def is_nothing(cell: str) -> bool:
    """Whether a cell says in words or signs that it holds nothing, as "n/a" or "-"."""
    return not cell.strip("-\u2013\u2014. \\") or cell.strip().casefold() in _NOTHING


def yes_or_no(cell: str) -> bool | None:
    """What a cell says that answers yes or no, in any language that headers are known in; None if it says neither."""
    key = text_key(cell)
    return True if key in _YES else False if key in _NO else None


def scale_in_name(name: str) -> int | None:
    """The best rating that the name of a column states, as "Score /10" or "Rating (1-10)"; None if it states none."""
    if text_key(name) in _DICE:
        return _SIDES
    found = _SCALE_IN_NAME.search(name)
    scale = int(found[1] or found[2]) if found else 0
    return scale if scale in _SCALES else None


def rating_scale(cells: Iterable[str]) -> int:
    """The best rating of a column's scale, 5, 10, 20 or 100, by the highest rating in it."""
    marks = (_SCORE.match(ascii_digits(cell)) for cell in cells)
    plain = (mark for mark in marks if mark and not mark[2] and not mark[3])
    highest = max((float(mark[1].replace(",", ".")) for mark in plain), default=0)
    return next((scale for scale in _SCALES if highest <= scale), STARS)


@lru_cache(maxsize=1024)
def parse_year(cell: str) -> int | None:
    """The year in a number or a date: 1000 to 2100 within other text, any year if it is alone; negative is BC."""
    if len(cell) == 4 and cell.isascii() and cell.isdigit() and cell[0] != "0":  # noqa: PLR2004 - the year's length
        return int(cell) if int(cell) <= _LAST_YEAR else None
    if _EARLY_YEAR.match(cell):
        return int(cell) or None
    year = _YEAR.search(ascii_digits(cell))
    return int(year[1]) if year else None


@lru_cache(maxsize=1024)
def parse_pages(cell: str) -> int | None:
    """The number of pages in "352", "1,232" or "xii, 345 p."; None if there is none."""
    text = re.sub(r"\D", "", cell) if _THOUSANDS.match(cell) else cell
    number = _NUMBER.search(text)
    pages = int(number[0]) if number and len(number[0]) <= len(str(_MAX_PAGES)) else 0
    return pages if 0 < pages <= _MAX_PAGES else None


@lru_cache(maxsize=1024)
def known_shelf(cell: str) -> str | None:
    """The reading status a shelf's name stands for, or None if it is a shelf of the reader's own.

    The vocabulary: read, currently-reading, to-read, did-not-finish, paused, wishlist, owned.
    """
    return _SHELF_BY_KEY.get(text_key(cell))


@lru_cache(maxsize=1)
def _states_by_words() -> dict[frozenset[str], str | None]:
    """Reading states by the words that matter of their names, whatever their order; None where they are of several."""
    found: dict[frozenset[str], str | None] = {}
    for state, phrases in phrases_of("reading_states").items():
        for phrase in phrases:
            words = _words_that_matter(phrase)
            if len(words) > 1 or any(yes_or_no(word) is None for word in words):
                found[words] = state if found.get(words, state) == state else None
    return found


def _words_that_matter(text: str) -> frozenset[str]:
    return frozenset(map(text_key, _WORD.findall(text))) - _FILLERS


@lru_cache(maxsize=1024)
def reading_state(cell: str) -> tuple[str, str] | None:
    """The reading status that a cell states in words, and what follows it, such as a date; None if it states none.

    Its words may have another order than those of the vocabulary, and say who reads or when: "ik lees dit boek nu".
    "Finished on Aug 12 2010" is ("read", "Aug 12 2010"), "To Read" is ("to-read", ""), and so is "DNF 40%" without what
    was read of it.
    """
    if state := known_shelf(cell):
        return state, ""
    if len(cell) > _MOST_STATE_CHARACTERS:
        return None
    if state := known_shelf(without_times(cell)[0]) or _states_by_words().get(_words_that_matter(cell)):
        return state, ""
    words = cell.replace(":", " ").replace("(", " ").replace(")", " ").split()
    for count in range(min(len(words) - 1, _MOST_STATE_WORDS), 0, -1):
        state = known_shelf(" ".join(words[:count]).rstrip(",-"))
        if state is None:
            continue
        rest = words[count:]
        while rest and rest[0].casefold() in _DATE_WORDS:
            rest = rest[1:]
        text = _PROGRESS.sub("", " ".join(rest)).strip(" -,")
        if not text:
            return state, ""
        return (state, text) if any(character.isdecimal() for character in text) else None
    return None


def without_times(cell: str) -> tuple[str, int]:
    """A cell such as "read (2x)" or "read twice" without how often, and how often; 1 if it says nothing of that."""
    found = _TIMES.search(cell)
    if found is None:
        return cell, 1
    number = found["before"] or found["after"]
    return cell[: found.start()], int(number) if number else _TIMES_IN_WORDS[found["word"].casefold()]


@lru_cache(maxsize=4096)
def parse_tags(cell: str, separators: str = ",;|\n") -> tuple[str, ...]:
    """Shelves or tags from a list, each once, without a position such as "(#12)"."""
    parts = (_POSITION.sub("", part.strip()) for part in re.split(f"[{separators}]", cell))
    return tuple(dict.fromkeys(part for part in parts if part))


def within_bytes(text: str, most: int) -> str:
    """Return the beginning of a text that takes at most `most` bytes as JSON, without the quotation marks."""
    while len(text) * _MOST_BYTES_A_CHARACTER > most and (size := len(msgspec.json.encode(text)) - 2) > most:
        text = text[: len(text) * most // size]
    return text
