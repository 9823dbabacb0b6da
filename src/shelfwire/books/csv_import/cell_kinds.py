"""What the cells of a column look like, and whether that fits what the column is to hold."""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from shelfwire.books.bibliography import dates
from shelfwire.books.bibliography.isbn import is_shortened, looks_like_isbn
from shelfwire.books.bibliography.text import ascii_digits, text_key
from shelfwire.books.csv_import import reading_life, values
from shelfwire.books.csv_import.vocabulary import vocabulary

_ENOUGH: Final = 0.5
"""The share of cells that must pass a test for the column to pass it."""
_URL: Final = re.compile(r"^(?:https?://|www\.)", re.IGNORECASE)
_UUID: Final = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[0-9a-f]{32}$", re.IGNORECASE)
_ASIN: Final = re.compile(r"^B[0-9A-Z]{9}$")
_NUMBER: Final = re.compile(r"^[-+#]?\d+(?:[.,]\d+)?(?:[ ,;]+\d+)*[,;]?$")
_SERIES_NUMBER: Final = re.compile(r"\d|^[ivxlc]+\.?$|^[上中下前後后][巻卷編编册冊]?$", re.IGNORECASE)
_FEWEST_ISBN_DIGITS: Final = 8
_FEWEST_NOTES: Final = 2
_YEAR_DIGITS: Final = 4
_DIGITS: Final = re.compile(r"\d")
_LONGEST_NUMBER: Final = 100
_NEARLY_ALL: Final = 0.9
_BOOKS: Final = frozenset(
    map(text_key, ("book", "books", "buch", "livre", "libro", "livro", "boek", "bok", "książka", "книга", "图书", "本"))
)
_NO_BOOKS: Final = vocabulary("item_types")["no-book"]
_ITEM_TYPES: Final = frozenset().union(*vocabulary("item_types").values())


class Kind(StrEnum):
    """What most cells of a column are."""

    ISBN = "ISBNs"
    DATE = "dates"
    ANSWER = "yes and no"
    NUMBER = "numbers"
    LINK = "links"
    CODE = "codes of a program"
    STATE = "reading states"
    TEXT = "words"


@lru_cache(maxsize=4096)
def is_date(cell: str) -> bool:
    """Whether a cell holds dates, or says that there is none as 0000-00-00 does."""
    if dates.parse_dates(cell, day_first=True) or dates.parse_dates(cell, day_first=False):
        return True
    return bool(_DIGITS.search(cell)) and not cell.strip("0-/.: []T")


def is_dates(cell: str) -> bool:
    """Whether a cell lists dates or ranges of dates."""
    if is_date(cell):
        return True
    parts = [part for part in re.split(r"[,;|]|(?<=\d)\s*[-–→]\s*(?=\d{4}[/.-]|$)", cell) if part.strip()]  # noqa: RUF001
    return all(is_date(part.strip()) for part in parts) and bool(parts)


def is_dates_of_reading(cell: str) -> bool:
    """Whether a cell lists dates, also as the numbers by which spreadsheets count days, or as a range in words."""
    return is_dates(cell) or dates.of_day_number(cell) is not None or dates.range_of_named(cell) is not None


def is_period(cell: str) -> bool:
    """Whether a cell holds the beginning and the end of one read, or one of them; years alone may be of anything."""
    days = dates.parse_dates(cell, day_first=True) or reading_life.range_of(cell, day_first=True) or ()
    return any(len(day) > _YEAR_DIGITS for day in days)


def is_mark(cell: str) -> bool:
    """Whether a cell holds a mark, or says that there is none."""
    try:
        values.parse_rating(cell, _LONGEST_NUMBER)
    except ValueError:
        return False
    return True


def is_answer(cell: str) -> bool:
    """Whether a cell says yes or no."""
    return values.yes_or_no(cell) is not None


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, or a list of numbers."""
    return len(cell) <= _LONGEST_NUMBER and _NUMBER.match(cell) is not None


def is_state(cell: str) -> bool:
    """Whether a cell names a reading state, perhaps with a date."""
    found = values.reading_state(cell)
    return found is not None and (not found[1] or is_date(found[1]))


def is_item_types(cells: Sequence[str]) -> bool:
    """Whether cells name media of several kinds, books among them: no genres, though "comic" is both."""
    keys = {text_key(cell) for cell in cells}
    if not keys or share(sorted(keys), _ITEM_TYPES.__contains__) < _NEARLY_ALL:
        return False
    return not _BOOKS.isdisjoint(keys) or not (_NO_BOOKS.isdisjoint(keys) or keys <= _NO_BOOKS)


def is_link(cell: str) -> bool:
    """Whether a cell is a link."""
    return _URL.match(cell) is not None


def is_code(cell: str) -> bool:
    """Whether a cell is an identifier that only programs read."""
    return _UUID.match(cell) is not None


def is_like_isbn(cell: str) -> bool:
    """Whether a cell holds an ISBN, right or mistyped, or what lists have in its place: an ASIN, a UUID."""
    digits = len(_DIGITS.findall(cell))
    if digits >= _FEWEST_ISBN_DIGITS and not dates.parse_date(cell, day_first=True):
        return True
    return _ASIN.match(cell) is not None or is_code(cell) or is_shortened(cell) or values.is_nothing(cell)


def is_plain_number(cell: str) -> bool:
    """Whether a cell has a number in it, and is not a date."""
    return bool(_DIGITS.search(cell)) and (cell.isdecimal() or not is_date(cell))


def has_year(cell: str) -> bool:
    """Whether a cell has a year in it, or says that there is none."""
    return values.parse_year(cell) is not None or not cell.strip("0-/.: []T")


_TESTS: Final[dict[str, Callable[[str], bool]]] = {
    "isbn": is_like_isbn,
    "isbn13": is_like_isbn,
    "isbn_or_storygraph": is_like_isbn,
    "date_read": is_dates_of_reading,
    "date_started": is_dates_of_reading,
    "date_stopped": is_dates_of_reading,
    "date_added": is_dates_of_reading,
    "dates_read": is_dates,
    "readings": is_dates,
    "rating": is_mark,
    "pages": is_plain_number,
    "year": has_year,
    "original_year": has_year,
    "shelf": is_state,
    "is_read": lambda cell: is_answer(cell) or is_date(cell) or is_state(cell),
    "is_to_read": is_answer,
    "is_reading": is_answer,
    "read_period": is_period,
    "is_dropped": lambda cell: is_answer(cell) or is_date(cell),
    "owned": lambda cell: is_answer(cell) or cell.removesuffix(".0").isdecimal() or is_state(cell),
    "copies": lambda cell: cell.removesuffix(".0").isdecimal(),
    "read_count": lambda cell: cell.removesuffix(".0").isdecimal(),
    "wishlist": is_answer,
    "item_type": lambda cell: text_key(cell) in _ITEM_TYPES,
    "series_index": lambda cell: _SERIES_NUMBER.search(cell) is not None and not is_date(cell),
    "volume": lambda cell: _SERIES_NUMBER.search(cell) is not None and not is_date(cell),
}
"""By field, whether a cell can be one of its cells; a field of words has no test."""
_OTHERS: Final = frozenset({Kind.DATE, Kind.LINK, Kind.CODE, Kind.ISBN})
_NEVER: Final[dict[str, frozenset[Kind]]] = {
    "rating": _OTHERS | {Kind.ANSWER},
    "shelf": _OTHERS | {Kind.NUMBER, Kind.ANSWER},
    "tags": _OTHERS | {Kind.NUMBER, Kind.ANSWER},
    "language": _OTHERS | {Kind.NUMBER, Kind.ANSWER},
    "format": _OTHERS | {Kind.NUMBER, Kind.ANSWER},
    "item_type": frozenset(Kind),
    "publisher": _OTHERS | {Kind.ANSWER},
    "notes": frozenset({Kind.NUMBER}),
    "pages": _OTHERS | {Kind.ANSWER},
    "year": frozenset({Kind.LINK, Kind.CODE, Kind.ANSWER, Kind.STATE}),
    "original_year": frozenset({Kind.LINK, Kind.CODE, Kind.ANSWER, Kind.STATE}),
    "isbn": frozenset({Kind.LINK, Kind.DATE, Kind.ANSWER, Kind.STATE}),
    "isbn13": frozenset({Kind.LINK, Kind.DATE, Kind.ANSWER, Kind.STATE}),
    "series_index": _OTHERS,
    "series": frozenset({Kind.DATE, Kind.LINK, Kind.ISBN, Kind.ANSWER}),
    "owned": _OTHERS,
    "copies": _OTHERS | {Kind.TEXT, Kind.STATE},
    "read_count": _OTHERS | {Kind.TEXT, Kind.STATE},
    "author": frozenset({Kind.DATE, Kind.LINK, Kind.ISBN, Kind.STATE}),
    "title": frozenset({Kind.LINK, Kind.DATE}),
    "subtitle": _OTHERS,
    **dict.fromkeys(
        ("date_read", "date_started", "date_stopped", "date_added"),
        frozenset({Kind.LINK, Kind.CODE, Kind.ISBN, Kind.ANSWER, Kind.STATE, Kind.NUMBER}),
    ),
}
"""By field, kinds of cells that rule it out, whatever the column is called."""
_LEAST: Final = {Kind.ANSWER: 0.9}
"""More than usual must be answers, because 0 and 1 are numbers too."""
_KINDS: Final[tuple[tuple[Kind, Callable[[str], bool]], ...]] = (
    (Kind.ISBN, looks_like_isbn),
    (Kind.LINK, is_link),
    (Kind.CODE, is_code),
    (Kind.ANSWER, is_answer),
    (Kind.NUMBER, is_number),
    (Kind.DATE, is_dates),
    (Kind.STATE, is_state),
)


def share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    """The share of cells that pass a test; 0 if there are none."""
    return sum(map(test, cells)) / len(cells) if cells else 0.0


def kind_of(cells: Sequence[str]) -> Kind:
    """What most of some cells are."""
    plain = [ascii_digits(cell) for cell in cells]
    return next((kind for kind, test in _KINDS if share(plain, test) > _LEAST.get(kind, _ENOUGH)), Kind.TEXT)


def is_typed(field: str) -> bool:
    """Whether the cells of a field show that they are its own."""
    return field in _TESTS


def fits(field: str, cells: Sequence[str]) -> bool:
    """Whether cells look like those of a field; a field of words fits all that are not ruled out."""
    test = _TESTS.get(field)
    return share(cells, test) >= _ENOUGH if test else not is_ruled_out(field, cells)


def fit(field: str, cell: str) -> bool:
    """Whether one cell looks like one of a field's, as far as that shows."""
    test = _TESTS.get(field)
    return test is None or values.is_nothing(cell) or test(cell)


def is_ruled_out(field: str, cells: Sequence[str]) -> bool:
    """Whether cells cannot be those of a field, even if its name stands above them."""
    kinds = _NEVER.get(field)
    if not cells or not kinds:
        return False
    if field == "notes" and len(cells) < _FEWEST_NOTES:
        return False
    kind = kind_of(cells)
    if kind is Kind.NUMBER and field.startswith("date_"):
        return not fits(field, cells)  # years are numbers
    return kind in kinds
