"""How the cell of each field is read into a book."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.books.bibliography import dates, people
from shelfwire.books.bibliography.isbn import parse_isbn, why_not_isbn
from shelfwire.books.bibliography.text import plain_text, text_key
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.problems import RowProblem

Draft = dict[str, Any]
"""The attributes of an `ImportedBook` collected so far, by name; `row` is there from the beginning."""
Take = Callable[[str, Draft], None]
"""Reads one cell, stripped and not empty, into the draft."""

_MAX_SHORT_CHARACTERS: Final = 200
_UNLIMITED: Final = 1 << 62
_ASIN: Final = re.compile(r"^B[0-9A-Z]{9}$")
_UUID: Final = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_SERIES_IN_TITLE: Final = re.compile(r"\(([^()]+?),? (#[\d.\-]+)\)$")
_PUBLICATION: Final = re.compile(r"\s*[(,;]")
_NOTHING: Final = frozenset({"n/a", "na", "nan", "none", "null", "unknown", "-", "--", "?", "no", "no isbn"})
_YES: Final = frozenset({"yes", "true", "y", "x", "ja", "oui", "si", "sim", "owned", "own"})
_STATUS_ORDER: Final = ("currently-reading", "read", "did-not-finish", "paused", "to-read", "wishlist", "owned")


def _warn(draft: Draft, warning: str) -> None:
    draft["warnings"] = (*draft.get("warnings", ()), warning)


def _text(field: str) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if field not in draft:
            draft[field] = cell

    return take


def _number(field: str, parse: Callable[[str], int | None]) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if field not in draft and (number := parse(cell)) is not None:
            draft[field] = number

    return take


def _authors(parse: Callable[[str], tuple[str, ...]]) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if "authors" not in draft and (names := parse(cell)):
            draft["authors"] = names

    return take


def _more_authors(parse: Callable[[str], tuple[str, ...]]) -> Take:
    def take(cell: str, draft: Draft) -> None:
        draft["authors"] = tuple(dict.fromkeys((*draft.get("authors", ()), *parse(cell))))

    return take


def _secondary_authors(cell: str, draft: Draft) -> None:
    """LibraryThing lists editors and illustrators here too; a parallel list has their roles."""
    names = cell.split("|")
    roles = draft.pop("roles", [])
    roles += [""] * (len(names) - len(roles))
    writing = "|".join(name for name, role in zip(names, roles, strict=False) if people.is_writing(role))
    _more_authors(people.authors_of_inverted_list)(writing, draft)


def _roles(cell: str, draft: Draft) -> None:
    draft["roles"] = cell.split("|")


def _title(cell: str, draft: Draft) -> None:
    if len(cell) > values.MAX_TEXT_CHARACTERS:
        raise RowProblem(
            f"The title in row {draft['row']} is longer than 2,000 characters. "
            "Look for a missing quotation mark there, or shorten the title.",
            row=draft["row"],
            title=cell[:_MAX_SHORT_CHARACTERS],
        )
    if "title" not in draft:
        draft["title"] = " ".join(cell.split()) if "\n" in cell or "  " in cell else cell


def _title_with_series(cell: str, draft: Draft) -> None:
    """Goodreads appends the series to the title, which is kept: other lists of the same books have it too."""
    _title(cell, draft)
    if cell.endswith(")") and (series := _SERIES_IN_TITLE.search(draft["title"])):
        draft["series"] = f"{series[1]} {series[2]}"


def _series_index(cell: str, draft: Draft) -> None:
    if "series" in draft:
        draft["series"] += f" #{cell.removesuffix('.0').removesuffix(',0')}"


def _isbn(cell: str, draft: Draft, *, uuid_is: str | None = None) -> None:
    if "isbn13" in draft:
        return
    number = cell.strip("[]")
    if isbn := parse_isbn(number):
        draft["isbn13"] = isbn.isbn13
        if isbn.isbn10:
            draft["isbn10"] = isbn.isbn10
    elif _ASIN.match(number):
        _identify("asin", number, draft)
    elif uuid_is and _UUID.match(number):
        _identify(uuid_is, number, draft)
    elif "isbn_as_given" not in draft and number.strip("0") and number.lower() not in _NOTHING:
        draft["isbn_as_given"] = number
        _warn(draft, why_not_isbn(number))


def _identify(system: str, number: str, draft: Draft) -> None:
    draft.setdefault("identifiers", {}).setdefault(system, number)


def _identifier(system: str) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if cell.strip("0"):
            _identify(system, cell, draft)

    return take


def _identifiers(cell: str, draft: Draft) -> None:
    """Calibre's `goodreads:12067,isbn:9780552171892`."""
    for pair in cell.split(","):
        system, colon, number = pair.strip().partition(":")
        if system == "isbn":
            _isbn(number, draft)
        elif colon and system and number:
            _identify(system, number, draft)


def _json_identifiers(cell: str, draft: Draft) -> None:
    """The identifiers of our own tables."""
    try:
        pairs = msgspec.json.decode(cell, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError):
        _warn(draft, "The identifiers were not understood.")
        return
    for system, number in pairs.items():
        _identify(system, number, draft)


def _semicolon_list(cell: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split("; ") if part)


def _publication(cell: str, draft: Draft) -> None:
    """LibraryThing's `Gallimard (1979), Poche`."""
    if publisher := _PUBLICATION.split(cell, maxsplit=1)[0]:
        draft.setdefault("publisher", publisher)
    _number("year", values.parse_year)(cell, draft)


def _language(cell: str, draft: Draft) -> None:
    if cell != "und":  # ISO 639-2: undetermined
        draft.setdefault("language", cell)


def _item_type(cell: str, draft: Draft) -> None:
    """Libib lists films, music and games beside books."""
    if cell.lower() not in ("book", "ebook", "audiobook"):
        raise RowProblem(
            f'Row {draft["row"]} is not a book: its type is "{cell}".', row=draft["row"], title=draft.get("title", "")
        )


def _shelf(cell: str, draft: Draft) -> None:
    draft.setdefault("shelf", values.known_shelf(cell) or cell)


def _shelf_name(cell: str, draft: Draft) -> None:
    """BookWyrm's name of a shelf, of which `shelf` is but the identifier ("cooking-9")."""
    if draft.get("shelf") not in _STATUS_ORDER:
        draft["shelf"] = values.known_shelf(cell) or cell


def _owned(cell: str, draft: Draft) -> None:
    if text_key(cell) not in _YES and not cell.strip("0").isdecimal():
        return
    if "shelf" in draft:
        _add_tags(("owned",), draft)
    else:
        draft["shelf"] = "owned"


def _wishlist(cell: str, draft: Draft) -> None:
    if (cell == "1" or text_key(cell) in _YES) and draft.get("shelf", "to-read") == "to-read":
        draft["shelf"] = "wishlist"


def _collections(cell: str, draft: Draft) -> None:
    """LibraryThing's collections: reading states and own shelves in one list."""
    names = values.parse_tags(cell)
    states = [state for state in map(values.known_shelf, names) if state]
    if states:
        draft.setdefault("shelf", min(states, key=_STATUS_ORDER.index))
    _add_tags(tuple(name for name in names if not values.known_shelf(name)), draft)


def _tags(cell: str, draft: Draft) -> None:
    _add_tags(values.parse_tags(cell), draft)


def _piped_tags(cell: str, draft: Draft) -> None:
    _add_tags(values.parse_tags(cell, "|"), draft)


def _add_tags(names: tuple[str, ...], draft: Draft) -> None:
    shelf = draft.get("shelf")
    tags = {tag.casefold(): tag for tag in draft.get("tags", ())}
    for name in names:
        if shelf is None or shelf not in (name, values.known_shelf(name)):
            tags.setdefault(name.casefold(), name)
    if tags:
        draft["tags"] = tuple(tags.values())


def _rating(scale: int) -> Take:
    def take(cell: str, draft: Draft) -> None:
        try:
            rating = values.parse_rating(cell, scale)
        except ValueError:
            _warn(draft, f'The rating "{cell}" was not understood.')
            return
        if rating is not None and "rating" not in draft:
            draft["rating"] = rating

    return take


def _date(field: str, *, day_first: bool) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if field in draft:
            return
        if day := dates.parse_dates(cell, day_first=day_first):
            draft[field] = day
        elif cell.strip("0-/.: []T"):
            _warn(draft, f'The date "{cell}" was not understood.')

    return take


def _dates_read(cell: str, draft: Draft, *, day_first: bool) -> None:
    """StoryGraph's `2022/01/03-2022/01/09, 2024/02/12-2024/02/20`."""
    start, _, end = dates.last_of(cell, ",").partition("-")
    _take_dates((start, end), draft, day_first=day_first)


def _readings(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Openreads' `start|end|minutes;start|end|minutes`."""
    start, _, rest = dates.last_of(cell, ";").partition("|")
    _take_dates((start, rest.partition("|")[0]), draft, day_first=day_first)


def _take_dates(cells: tuple[str, str], draft: Draft, *, day_first: bool) -> None:
    for field, cell in zip(("date_started", "date_read"), cells, strict=True):
        if field not in draft and (day := dates.parse_date(cell.strip(), day_first=day_first)):
            draft[field] = day


def _long_text(field: str, name: str) -> Take:
    most = values.MAX_REVIEW_CHARACTERS

    def take(cell: str, draft: Draft) -> None:
        text = plain_text(cell[: most + most // 2])
        text = f"{draft[field]}\n\n{text}" if field in draft else text
        if len(text) > most or len(cell) > most + most // 2:
            text = text[:most]
            _warn(draft, f"The {name} is longer than 100,000 characters; the rest was left out.")
        if text:
            draft[field] = text

    return take


def _long_plain_text(field: str) -> Take:
    """The reviews and notes of our own tables, which are no HTML."""

    def take(cell: str, draft: Draft) -> None:
        draft.setdefault(field, cell[: values.MAX_REVIEW_CHARACTERS])

    return take


class FieldReader(NamedTuple):
    """How the cell of a field is read.

    Attributes:
        take: Reads the cell.
        most: The longest cell that is read whole, in characters.
    """

    take: Take
    most: int


_TEXT: dict[str, Take] = {
    "subtitle": _text("subtitle"),
    "series": _text("series"),
    "publisher": _text("publisher"),
    "format": _text("format"),
    "author": _authors(people.authors_of_any_list),
    "authors": _authors(people.authors_of_comma_list),
    "ampersand_authors": _authors(people.authors_of_ampersand_list),
    "inverted_author": _authors(people.authors_of_inverted_list),
    "surname_first_author": _authors(people.author_of_surname_first),
    "additional_authors": _more_authors(people.authors_of_comma_list),
    "secondary_authors": _secondary_authors,
    "roles": _roles,
    "publication": _publication,
    "identifiers": _identifiers,
    "collections": _collections,
    "tags": _tags,
    "piped_tags": _piped_tags,
    "semicolon_authors": _authors(_semicolon_list),
    "semicolon_tags": lambda cell, draft: _add_tags(_semicolon_list(cell), draft),
    "json_identifiers": _json_identifiers,
}
_SHORT: dict[str, Take] = {
    "series_index": _series_index,
    "isbn": _isbn,
    "isbn13": _isbn,
    "isbn_or_storygraph": partial(_isbn, uuid_is="storygraph"),
    "year": _number("year", values.parse_year),
    "original_year": _number("original_year", values.parse_year),
    "pages": _number("pages", values.parse_pages),
    "language": _language,
    "item_type": _item_type,
    "shelf": _shelf,
    "shelf_name": _shelf_name,
    "owned": _owned,
    "wishlist": _wishlist,
}
_LONG: dict[str, Take] = {
    "title": _title,
    "title_with_series": _title_with_series,
    "review": _long_text("review", "review"),
    "notes": _long_text("notes", "note"),
    "plain_review": _long_plain_text("review"),
    "plain_notes": _long_plain_text("notes"),
}
DATES: Final = frozenset({"date_read", "date_started", "date_added"})
"""The fields that hold one date."""


def field_of(name: str, *, day_first: bool, scale: int) -> FieldReader:
    """The field of that name.

    Args:
        name: As `Columns.fields` has it.
        day_first: Whether `3/4/2021` is 3 April.
        scale: The best rating.
    """
    if name in _TEXT:
        return FieldReader(_TEXT[name], values.MAX_TEXT_CHARACTERS)
    if name in _LONG:
        return FieldReader(_LONG[name], _UNLIMITED)
    if name in DATES:
        return FieldReader(_date(name, day_first=day_first), _MAX_SHORT_CHARACTERS)
    if name.startswith("id:"):
        return FieldReader(_identifier(name.removeprefix("id:")), _MAX_SHORT_CHARACTERS)
    settled: dict[str, Take] = {
        "dates_read": partial(_dates_read, day_first=day_first),
        "readings": partial(_readings, day_first=day_first),
        "rating": _rating(scale),
    }
    if name in settled:
        return FieldReader(settled[name], values.MAX_TEXT_CHARACTERS)
    return FieldReader(_SHORT[name], _MAX_SHORT_CHARACTERS)
