"""Single values of a book - ratings, years, pages, shelves, texts - from the forms in which exports write them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from shelfwire.books.bibliography.text import text_key

MAX_REVIEW_CHARACTERS: Final = 100_000
"""The longest review that is kept whole."""
MAX_TEXT_CHARACTERS: Final = 2_000
"""The longest title, and the longest other text but reviews and notes."""
STARS: Final = 5
_LEAST_STARS: Final = 0.25

_SHELVES: Final = {
    "read": "read|finished|completed|complete|already read|done|read but unowned|lu|lue|terminé|gelesen|ausgelesen"
    "|beendet|leído|leídos|terminado|letto|finito|lido|concluído|gelezen|uitgelezen|läst|utläst|przeczytane|przeczytana"
    "|прочитано|прочитана|読んだ|読了|既読|読んだ本|读过|讀過|已读|已讀|读完",
    "currently-reading": "currently reading|reading|in progress|reading now|started|en cours|je lis|en cours de lecture"
    "|am lesen|lese ich gerade|lese gerade|leyendo|in lettura|sto leggendo|lendo|aan het lezen|bezig|läser"
    "|czytam|читаю|在読|読書中|読んでいる|読んでる本|读着|在读|在讀|閱讀中|阅读中",
    "to-read": "to read|want to read|tbr|unread|not begun|not started|planned|plan to read|not read|à lire|pal|non lu"
    "|ungelesen|will ich lesen|möchte ich lesen|zu lesen|por leer|quiero leer|pendiente|no leído|da leggere"
    "|para ler|quero ler|não lido|te lezen|wil ik lezen|ongelezen|att läsa|vill läsa|oläst|do przeczytania"
    "|chcę przeczytać|хочу прочитать|в планах|積読|積読本|未読|読みたい|想读|想讀|未读|未讀|待读",
    "did-not-finish": "did not finish|dnf|abandoned|stopped reading|stopped|gave up|unfinished|not finished|incomplete"
    "|abandonné|abgebrochen|abandonado|abbandonato|afgebroken|gestopt|avbruten|porzucone|брошено|中断|弃读|棄讀",
    "paused": "paused|on hold|hold|en pause|pausiert|en pausa|in pausa|pausado|gepauzeerd|pausad",
    "wishlist": "wishlist|wish list|wanted|wunschliste|lista de deseos|pense-bête|lista dei desideri|lista de desejos"
    "|verlanglijst|önskelista|欲しい",
    "owned": "owned|your library|own|library|i own|in besitz|im besitz|possédé",
}
_SHELF_BY_KEY: Final = {text_key(name): shelf for shelf, names in _SHELVES.items() for name in names.split("|")}

_SCORE: Final = re.compile(
    r"^(\d{1,3}(?:[.,]\d{1,9})?)(?:\s*(?:/|out of|of|von|sur|de|di|van|av|из)\s*(\d{1,3}))?(?!\d)", re.IGNORECASE
)
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
    stars = cell.count("★") + cell.count("⭐")
    if stars:
        return min(float(stars), STARS) + sum(value for sign, value in _HALVES.items() if sign in cell)
    match = _SCORE.match(cell)
    if not match:
        raise ValueError(cell)
    best = int(match[2] or 0) or scale
    rating = round(float(match[1].replace(",", ".")) * STARS / best, 2)
    if rating > STARS:
        raise ValueError(cell)
    return rating if rating >= _LEAST_STARS else None


def rating_scale(cells: Iterable[str]) -> int:
    """The best rating of a column's scale, 5, 10, 20 or 100, by the highest rating in it."""
    marks = (_SCORE.match(cell) for cell in cells)
    highest = max((float(mark[1].replace(",", ".")) for mark in marks if mark and not mark[2]), default=0)
    return next((scale for scale in _SCALES if highest <= scale), STARS)


@lru_cache(maxsize=1024)
def parse_year(cell: str) -> int | None:
    """The year in a number or a date: 1000 to 2100 within other text, any year if it is alone; negative is BC."""
    if len(cell) == 4 and cell.isascii() and cell.isdigit() and cell[0] != "0":  # noqa: PLR2004 - the year's length
        return int(cell) if int(cell) <= _LAST_YEAR else None
    if _EARLY_YEAR.match(cell):
        return int(cell) or None
    year = _YEAR.search(cell)
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


@lru_cache(maxsize=4096)
def parse_tags(cell: str, separators: str = ",;|\n") -> tuple[str, ...]:
    """Shelves or tags from a list, each once, without a position such as "(#12)"."""
    parts = (_POSITION.sub("", part.strip()) for part in re.split(f"[{separators}]", cell))
    return tuple(dict.fromkeys(part for part in parts if part))
