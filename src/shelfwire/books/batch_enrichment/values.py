"""Values as providers write them, brought into the form of `port.Record`. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from shelfwire.books.bibliography.isbn import parse_isbn
from shelfwire.books.csv_import.dates import parse_date
from shelfwire.books.csv_import.values import plain_text

MOST_TEXT_CHARS: Final = 500
MOST_DESCRIPTION_CHARS: Final = 10_000
MOST_URL_CHARS: Final = 2_000
MOST_SUBJECTS: Final = 20
MOST_AUTHORS: Final = 50
MOST_ISBNS: Final = 2_000
MOST_PAGES: Final = 100_000

_UNSAFE: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for white space, and those that turn a line around: no catalogue means them."""
_CODE: Final = re.compile(r"[a-z]{2,8}")
_YEAR: Final = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
_LANGUAGES: Final[Mapping[str, str]] = {
    "afr": "af",
    "alb": "sq",
    "ara": "ar",
    "arm": "hy",
    "baq": "eu",
    "ben": "bn",
    "bul": "bg",
    "cat": "ca",
    "ces": "cs",
    "chi": "zh",
    "cze": "cs",
    "dan": "da",
    "deu": "de",
    "dut": "nl",
    "ell": "el",
    "eng": "en",
    "epo": "eo",
    "est": "et",
    "fas": "fa",
    "fin": "fi",
    "fra": "fr",
    "fre": "fr",
    "geo": "ka",
    "ger": "de",
    "gle": "ga",
    "glg": "gl",
    "gre": "el",
    "guj": "gu",
    "heb": "he",
    "hin": "hi",
    "hrv": "hr",
    "hun": "hu",
    "ice": "is",
    "ind": "id",
    "isl": "is",
    "ita": "it",
    "jpn": "ja",
    "kan": "kn",
    "kor": "ko",
    "lat": "la",
    "lav": "lv",
    "lit": "lt",
    "mac": "mk",
    "mal": "ml",
    "mar": "mr",
    "may": "ms",
    "nld": "nl",
    "nob": "nb",
    "nor": "no",
    "pan": "pa",
    "per": "fa",
    "pol": "pl",
    "por": "pt",
    "ron": "ro",
    "rum": "ro",
    "rus": "ru",
    "san": "sa",
    "scc": "sr",
    "scr": "hr",
    "slk": "sk",
    "slo": "sk",
    "slv": "sl",
    "spa": "es",
    "srp": "sr",
    "swe": "sv",
    "tam": "ta",
    "tel": "te",
    "tha": "th",
    "tur": "tr",
    "ukr": "uk",
    "urd": "ur",
    "vie": "vi",
    "wel": "cy",
    "yid": "yi",
    "zho": "zh",
}
"""ISO 639-1 by the codes of libraries, ISO 639-2 in both of its forms."""


def text(value: Any, most: int = MOST_TEXT_CHARS) -> str | None:
    """A short text in one line, or None."""
    if not isinstance(value, str):
        return None
    return " ".join(_UNSAFE.sub(" ", value).split())[:most].strip() or None


def texts(values: Any, most: int) -> tuple[str, ...]:
    """The first so many different texts of a list; nothing if it is no list."""
    return tuple(dict.fromkeys(known for value in elements(values) if (known := text(value))))[:most]


def description(value: Any) -> str | None:
    """Plain text of what may be HTML, or Open Library's `{"value": …}`."""
    value = value.get("value") if isinstance(value, dict) else value
    if not isinstance(value, str):
        return None
    plain = plain_text(value[: 2 * MOST_DESCRIPTION_CHARS])[:MOST_DESCRIPTION_CHARS]
    return _UNSAFE.sub(" ", plain).strip() or None


def date(value: Any) -> str | None:
    """A date of publication as `YYYY-MM-DD`, or as much of it as is known; None if there is none."""
    given = text(str(value) if isinstance(value, int) else value)
    if given is None:
        return None
    years = set(_YEAR.findall(given))
    if len(years) > 1:
        return None
    return parse_date(given, day_first=False) or next(iter(years), None)


def pages(value: Any) -> int | None:
    """A number of pages, or None."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_PAGES else None


def language(value: Any) -> str | None:
    """ISO 639-1 of a language, from `eng`, `en`, `en-GB` or `/languages/eng`; an unknown code as it is."""
    given = text(value)
    if given is None:
        return None
    code = given.rpartition("/")[2].lower().partition("-")[0].partition("_")[0]
    return _LANGUAGES.get(code, code) if _CODE.fullmatch(code) and code not in {"und", "mul", "zxx"} else None


def https(value: Any) -> str | None:
    """A link with https, or None if it is no link to somewhere on the web."""
    given = text(value, MOST_URL_CHARS + 1)
    if given is None or len(given) > MOST_URL_CHARS or " " in given:
        return None
    given = f"https:{given}" if given.startswith("//") else given
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return None
    host = parts.netloc.removesuffix(":80") if port == 80 else parts.netloc  # noqa: PLR2004 - the port of http
    return urlunsplit(("https", host, parts.path, parts.query, ""))


def isbns(values: Any) -> tuple[str, ...]:
    """The valid ISBN-13s among numbers of both kinds, each once."""
    found = (parse_isbn(value) for value in elements(values)[:MOST_ISBNS] if isinstance(value, str))
    return tuple(dict.fromkeys(isbn.isbn13 for isbn in found if isbn))


def first(values: Any) -> Any:
    """The first of a list, or what is no list as it is."""
    return next(iter(values), None) if isinstance(values, list) else values


def named(values: Any) -> list[Any]:
    """What is called `name` in each object of a list; texts stay as they are."""
    return [value.get("name") if isinstance(value, dict) else value for value in elements(values)]


def known(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Identifiers by system, without those that are no text."""
    return {system: number for system, value in pairs if (number := text(value))}


def elements(value: Any) -> list[Any]:
    """A list as it is; anything else has no elements."""
    return value if isinstance(value, list) else []


def members(value: Any) -> dict[str, Any]:
    """An object as it is; anything else has no members."""
    return value if isinstance(value, dict) else {}
