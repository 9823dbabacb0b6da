"""ISBNs as book lists give them: found in a cell, checked and converted, or explained if they are none."""

import re
from functools import lru_cache
from operator import mul
from typing import Final

import msgspec

from shelfwire.books.bibliography.text import ascii_digits

_WEIGHTS: Final = range(1, 10)
# The digits are summed as bytes, each 48 more than its digit: 48 times the weights, modulo 11.
_EXCESS: Final = 48 * sum(_WEIGHTS) % 11
_CHECK_CHARACTERS: Final = "0123456789X"
_LENGTHS: Final = (9, 10, 13)
_SEPARATORS: Final = re.compile(r"[\s\u00ad\u2010-\u2015.\u2212\u200b-]+")
_PREFIX: Final = re.compile(r"^(?:isbn|ean)(?:-?1[03](?=\D))?[\s:#.]*", re.IGNORECASE)
_SUFFIX: Final = re.compile(r"\s*\([^)]*\)$|\.0+$")
# White space parts two numbers where either is whole: "978-0-441-01359-3 0-441-01359-7".
_LIST: Final = re.compile(r"[,;|/\n]|\s+(?=97[89])|(?<=[\dXx])\s+(?=\d(?:-?\d){8}-?[\dXx](?!\S))")
_SCIENTIFIC: Final = re.compile(r"^\d(?:[.,]\d+)?E\+?\d+$", re.IGNORECASE)
_MOST_CHARACTERS: Final = 200
_SHORTENED: Final = (
    "A spreadsheet program shortened the ISBN to {}; its digits are lost. "
    "Export the list again and import that file without opening it there."
)


class Isbn(msgspec.Struct, frozen=True, gc=False):
    """A valid ISBN, without hyphens."""

    isbn13: str

    @property
    def isbn10(self) -> str | None:
        """The same as ISBN-10; None for numbers that begin with 979, which have none."""
        return isbn10_of(self.isbn13)


def parse_isbn(cell: str) -> Isbn | None:
    """The valid ISBN in a cell, or None.

    Understood are hyphens, spaces, a leading "ISBN", a trailing "(pbk)" or ".0", a list of numbers, and nine digits
    whose leading zero a spreadsheet dropped. Check digits are those of ISO 2108.
    """
    isbn13 = isbn13_of(cell)
    return Isbn(isbn13) if isbn13 else None


def isbn13s_of(cell: str) -> tuple[str, ...]:
    """All valid ISBNs of a cell that lists several, each once, as ISBN-13 without hyphens."""
    if len(cell) > _MOST_CHARACTERS:
        return ()
    found = (isbn13_of(part) for part in (cell, *_LIST.split(cell)) if part.strip())
    return tuple(dict.fromkeys(isbn for isbn in found if isbn))


def isbn13_of(cell: str) -> str | None:
    """The same as `parse_isbn` finds, without hyphens."""
    # python-stdnum takes 30 µs for a number and its conversion, ten times what a whole row may cost.
    if len(cell) == 13 and cell.isascii() and cell.isdigit():  # noqa: PLR2004 - the length of an ISBN-13
        return _from_13_digits(cell)
    if len(cell) == 10 and cell.isascii() and cell[:9].isdigit() and cell[9].isalnum():  # noqa: PLR2004 - of an ISBN-10
        return _from_10_characters(cell.upper())
    return _parse_spelt(cell)


def isbn10_of(isbn13: str) -> str | None:
    """A valid ISBN-13, without hyphens, as ISBN-10; None for numbers that begin with 979, which have none."""
    if isbn13[2] == "9":
        return None
    return isbn13[3:12] + _check_of_9_digits(isbn13[3:12])


def looks_like_isbn(cell: str) -> bool:
    """Whether a cell holds an ISBN, right or mistyped: 13 digits from 978 or 979, or a valid number of any form."""
    digits = _SEPARATORS.sub("", cell)
    return (len(digits) == 13 and digits.isdecimal() and digits.startswith(("978", "979"))) or bool(  # noqa: PLR2004
        parse_isbn(cell)
    )


def has_isbn_form(text: str) -> bool:
    """Whether a text is 10 or 13 digits but for spaces, hyphens and a check character, as titles are in some lists."""
    digits = re.sub(r"[\s-]", "", text)
    return len(digits) in (10, 13) and digits[:-1].isdecimal()


def is_shortened(cell: str) -> bool:
    """Whether a spreadsheet program replaced the number by `9,78E+12`, so that it identifies nothing."""
    return bool(_SCIENTIFIC.match(cell))


def why_not_isbn(cell: str) -> str:
    """What is wrong with something given as an ISBN, for a person."""
    bare = _SEPARATORS.sub("", _PREFIX.sub("", cell)).upper()
    shown = cell[:_MOST_CHARACTERS]
    if is_shortened(cell):
        return _SHORTENED.format(shown)
    if not bare[:-1].isdecimal() or not (bare[-1].isdecimal() or bare[-1] == "X"):
        return f'"{shown}" is not an ISBN.'
    if len(bare) not in _LENGTHS:
        return f"The ISBN {shown} has {len(bare)} digits instead of 10 or 13."
    if len(bare) == 13 and not bare.startswith(("978", "979")):  # noqa: PLR2004 - as above
        return f"{shown} is a product number, not an ISBN: those begin with 978 or 979."
    return f"The ISBN {shown} has a wrong check digit; one of its digits is mistyped."


def _from_13_digits(digits: str) -> str | None:
    if not digits.startswith(("978", "979")):
        return None
    return None if _sum_of_13_digits(digits) % 10 else digits


def _from_10_characters(isbn10: str) -> str | None:
    digits = isbn10[:9]
    if isbn10[9] != _check_of_9_digits(digits) or not isbn10.strip("0"):
        return None
    return f"978{digits}{-_sum_of_13_digits(f'978{digits}0') % 10}"


def _sum_of_13_digits(digits: str) -> int:
    """Their weighted sum, to a multiple of ten."""
    codes = digits.encode()
    # Each byte is 48 more than its digit; the weights add up to 25, and 25 times 48 leaves no remainder.
    return sum(codes[::2]) + 3 * sum(codes[1::2])


def _check_of_9_digits(digits: str) -> str:
    return _CHECK_CHARACTERS[(sum(map(mul, digits.encode(), _WEIGHTS)) - _EXCESS) % 11]


@lru_cache(maxsize=4096)
def _parse_spelt(cell: str) -> str | None:
    # It brings 30 ms of modules, and most numbers are not spelt in any way.
    from stdnum import isbn as stdnum_isbn  # noqa: PLC0415
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    cell = ascii_digits(cell)
    for part in (cell, *_LIST.split(cell)) if len(cell) <= _MOST_CHARACTERS else ():
        bare = _SEPARATORS.sub("", _SUFFIX.sub("", _PREFIX.sub("", part.strip().lstrip("'"))))
        if len(bare) not in _LENGTHS or not bare.isascii() or not bare.strip("0"):
            continue
        try:
            return _from_13_digits(stdnum_isbn.to_isbn13(stdnum_isbn.validate(bare)))
        except ValidationError:
            continue
    return None
