"""How the cell of each field is read into a book."""

import csv
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.books.bibliography import people
from shelfwire.books.bibliography.isbn import isbn10_of, isbn13_of, isbn13s_of, why_not_isbn
from shelfwire.books.bibliography.text import plain_text, text_key
from shelfwire.books.csv_import import reading_life, series, values
from shelfwire.books.csv_import.imported_book import Read
from shelfwire.books.csv_import.joined_titles import SHAPES, looks_joined, taken_apart
from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.reading_life import Draft, add_tags, life_of, warn
from shelfwire.books.csv_import.remarks import without_remarks
from shelfwire.books.csv_import.vocabulary import vocabulary

Take = Callable[[str, Draft], None]
"""Reads one cell, stripped and not empty, into the draft."""

_MAX_SHORT_CHARACTERS: Final = 200
_UNLIMITED: Final = 1 << 62
_LONGEST_ISBN: Final = 17
_MOST_READS: Final = 10_000
_KOBO_STATES: Final = {"0": "to-read", "1": "currently-reading", "2": "read", "3": "currently-reading"}
_ASIN: Final = re.compile(r"^B[0-9A-Z]{9}$")
_UUID: Final = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_ITEM_TYPES: Final = vocabulary("item_types")
_BARE_TYPES: Final = frozenset({"book", "books", "product", "other"})
"""Types of books that say nothing of their format."""
_QUOTES: Final = ("'", '"')
_ELEMENT: Final = re.compile(r"""['"](.+?)['"](?=\s*[,\]])""")
"""An element of a list as Python writes it."""
_TEXT_MEMBERS: Final = ("content", "text", "note", "body", "name", "value")
_QUOTED: Final = re.compile(
    r"(?P<mark>\*{1,3}|_{1,3})(?P<emphasized>[^*_]+)(?P=mark)"
    '|["\u201c\u201d\u201e\u00ab\u00bb\u2018\u201a](?P<quoted>.+)["\u201c\u201d\u00ab\u00bb\u2018\u2019]'
)
"""A title in quotation marks, or emphasized as in Markdown."""
_NAMES_IN_QUOTES: Final = re.compile(r'(?:"[^"]+"|[^",;]+)(?:\s*[,;]\s*(?:"[^"]+"|[^",;]+))*')
_ITEM_OF_HTML: Final = re.compile(r"</li>\s*<li>|<br\s*/?>", re.IGNORECASE)
_YEAR_AND_MONTH: Final = re.compile(r"[12]\d{3}(?:[-./年]\d{1,2}(?:[-./月]\d{1,2})?[月日]?|年)?")
_PUBLICATION: Final = re.compile(r"\s*[(,;]")


def _text(field: str) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if field not in draft:
            draft[field] = cell

    return take


def _number(field: str, parse: Callable[[str], int | None], name: str) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if field in draft:
            return
        if (number := parse(cell)) is not None:
            draft[field] = number
        elif not reading_life.is_no_date(cell):
            warn(draft, f'The {name} "{cell}" was not understood.')

    return take


_OF_MANY_ROLES: Final = (people.authors_of_any_list, people.authors_of_comma_list)
"""How cells are read that may have people of several roles."""


def _authors(parse: Callable[[str], tuple[str, ...]]) -> Take:
    def take(cell: str, draft: Draft) -> None:
        if cell[0] == "[" and (cell[1:2] in _QUOTES or cell[1:2] == "{"):
            cell = _unpacked(cell, "; ")
        elif cell[0] == "<":
            cell = plain_text(_ITEM_OF_HTML.sub("; ", cell)).strip("; ")
        names = _names_in_quotes(cell) if '"' in cell else parse(cell)
        if "authors" not in draft and names:
            draft["authors"] = names
            if names[0] != cell and parse in _OF_MANY_ROLES and (others := people.others_of_any_list(cell)):
                warn(draft, f"Left out, as none of its authors: {'; '.join(others)}.")

    return take


def _names_in_quotes(cell: str) -> tuple[str, ...]:
    """Authors of a list in quotation marks, as Airtable writes names with commas: `"Le Guin, Ursula K.",Neil Gaiman`.

    The marks around a name within another, as in `"Weird Al" Yankovic`, belong to it.
    """
    if not _NAMES_IN_QUOTES.fullmatch(cell):
        return people.authors_of_any_list(cell)
    names = next(csv.reader([cell.replace(";", ",")], skipinitialspace=True), [])
    return tuple(dict.fromkeys(people.given_name_first(name.strip()) for name in names if name.strip()))


def _author_first(cell: str, draft: Draft) -> None:
    life_of(draft).first_name = cell


def _author_last(cell: str, draft: Draft) -> None:
    """A surname in a column of its own; the given name was read before."""
    draft.setdefault("authors", (f"{life_of(draft).first_name} {cell}".strip(),))


def _more_authors(parse: Callable[[str], tuple[str, ...]]) -> Take:
    def take(cell: str, draft: Draft) -> None:
        draft["authors"] = tuple(dict.fromkeys((*draft.get("authors", ()), *parse(cell))))

    return take


def _secondary_authors(cell: str, draft: Draft) -> None:
    """LibraryThing lists editors and illustrators here too; a parallel list has their roles."""
    names = cell.split("|")
    roles = life_of(draft).roles
    roles = [*roles, *[""] * (len(names) - len(roles))]
    pairs = list(zip(names, roles, strict=False))
    writing = "|".join(name for name, role in pairs if people.is_writing(role))
    _more_authors(people.authors_of_inverted_list)(writing, draft)
    if others := [f"{name.strip()} ({role.strip()})" for name, role in pairs if not people.is_writing(role)]:
        warn(draft, f"Left out, as none of its authors: {'; '.join(others)}.")


def _roles(cell: str, draft: Draft) -> None:
    life_of(draft).roles = cell.split("|")


def _title(cell: str, draft: Draft) -> None:
    if len(cell) > values.MAX_TEXT_CHARACTERS:
        raise RowProblem(
            f"The title in row {draft['row']} is longer than 2,000 characters. "
            "Look for a missing quotation mark there, or shorten the title.",
            row=draft["row"],
            title=cell[:_MAX_SHORT_CHARACTERS],
            field="title",
        )
    if cell[-1] == "/" and cell[-2:] == " /":  # as catalogues of libraries end titles
        cell = cell[:-2].rstrip()
    if "title" not in draft:
        draft["title"] = " ".join(cell.split()) if "\n" in cell or "  " in cell else cell


def _title_with_series(cell: str, draft: Draft) -> None:
    """Goodreads and Kindle append the series to the title, which is kept: other lists of the books have it too."""
    _title(cell, draft)
    if (
        cell[-1] == ")"
        and cell[-2:-1].isdecimal()
        and "series" not in draft
        and (found := series.in_title(draft["title"]))
    ):
        draft["series"] = found


def _joined_title(shape: re.Pattern[str]) -> Take:
    """A title beside its author or its number, and perhaps remarks; a cell of another form is one of `_mixed_title`."""

    def take(cell: str, draft: Draft) -> None:
        text = _without_remarks(cell, draft)
        found = shape.fullmatch(text)
        if found is None:
            _mixed_title(text, draft)
            return
        _take_box(found["done"], draft)
        _title_and_author(found["title"], found.groupdict().get("author"), draft)

    return take


def _mixed_title(cell: str, draft: Draft) -> None:
    """A title that stands with its author in a form of its own; a cell without a name in it is a title."""
    text = _without_remarks(cell, draft)
    number = SHAPES["numbered_title"].fullmatch(text)
    _take_box(number["done"] if number else None, draft)
    title, author = taken_apart(text) or (number["title"] if number else text, None)
    _title_and_author(title, author, draft)
    if author is None and looks_joined(title):
        warn(draft, f'No author was found in "{title[:_MAX_SHORT_CHARACTERS]}"; the whole was taken for the title.')


def _take_box(tick: str | None, draft: Draft) -> None:
    """Read a box before a title: a book is read if it is ticked, and yet to read if not, unless a remark says more."""
    life = life_of(draft)
    if tick is not None and life.state is None:
        life.state = "read" if tick.strip() else "to-read"


def _without_remarks(cell: str, draft: Draft) -> str:
    """Take over the remarks behind a title, and return what is left of the cell."""
    text, mark, states = without_remarks(cell)
    if mark:
        _rating(values.STARS)(mark, draft)
    for state in states:
        reading_life.take_remark(state, draft)
    return text


def _title_and_author(title: str, author: str | None, draft: Draft) -> None:
    if found := _QUOTED.fullmatch(title.strip()):
        title = found["emphasized"] or found["quoted"]
    _title_with_series(title.strip(), draft)
    if author:
        _authors(people.authors_of_any_list)(author.strip(), draft)


def _isbn(cell: str, draft: Draft, *, uuid_is: str | None = None) -> None:
    number = cell.strip("[]")
    if "isbn13" in draft:
        if number != draft["isbn13"] and number != draft.get("isbn10"):
            _other_isbns(isbn13s_of(number), draft)
    elif isbn13 := isbn13_of(number):
        draft["isbn13"] = isbn13
        if isbn10 := isbn10_of(isbn13):
            draft["isbn10"] = isbn10
        if len(number) > _LONGEST_ISBN:
            _other_isbns(isbn13s_of(number), draft)
    elif _ASIN.match(number):
        _identify("asin", number, draft)
    elif uuid_is and _UUID.match(number):
        _identify(uuid_is, number, draft)
    elif "isbn_as_given" not in draft and number.strip("0") and not values.is_nothing(number):
        draft["isbn_as_given"] = number
        warn(draft, why_not_isbn(number))


def _other_isbns(found: tuple[str, ...], draft: Draft) -> None:
    if others := [isbn for isbn in found if isbn != draft["isbn13"]]:
        draft["other_isbns"] = tuple(dict.fromkeys((*draft.get("other_isbns", ()), *others)))


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
        warn(draft, "The identifiers were not understood.")
        return
    for system, number in pairs.items():
        _identify(system, number, draft)


def _json_reads(cell: str, draft: Draft) -> None:
    """The reads of our own tables."""
    try:
        life_of(draft).reads = msgspec.json.decode(cell, type=tuple[Read, ...])
    except (msgspec.DecodeError, UnicodeError):
        warn(draft, "The reads were not understood.")


def _semicolon_list(cell: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split("; ") if part)


def _long_plain_text(field: str) -> Take:
    """The reviews and notes of our own tables, which are no HTML."""

    def take(cell: str, draft: Draft) -> None:
        draft.setdefault(field, values.within_bytes(cell[: values.MAX_REVIEW_CHARACTERS], values.MAX_REVIEW_BYTES))

    return take


def _slashed_details(cell: str, draft: Draft) -> None:
    """Douban's `[美] 赫伯特 / 潘振华 / 江苏出版社 / 2017-2 / 55元`: author, translators, publisher, date, price."""
    parts = [part.strip() for part in cell.split(" / ")]
    place = next((place for place, part in enumerate(parts) if _YEAR_AND_MONTH.fullmatch(part)), None)
    if place is None or not place:
        warn(draft, f'"{cell}" was not understood: it has no date behind the author.')
        return
    _authors(people.authors_of_any_list)(parts[0], draft)
    draft.setdefault("year", int(parts[place][:4]))
    if place > 1:
        draft.setdefault("publisher", parts[place - 1])
    if between := parts[1 : place - 1]:
        warn(draft, f"Left out, as none of its authors: {'; '.join(between)}.")


def _publication(cell: str, draft: Draft) -> None:
    """LibraryThing's `Gallimard (1979), Poche`."""
    if publisher := _PUBLICATION.split(cell, maxsplit=1)[0]:
        draft.setdefault("publisher", publisher)
    if "year" not in draft and (year := values.parse_year(cell)) is not None:
        draft["year"] = year


def _language(cell: str, draft: Draft) -> None:
    if cell != "und":  # ISO 639-2: undetermined
        draft.setdefault("language", cell)


def _shelf_name(cell: str, draft: Draft) -> None:
    """BookWyrm's name of a shelf, of which `shelf` is but the identifier ("cooking-9")."""
    if draft.get("shelf") not in values.STATES:
        draft["shelf"] = values.known_shelf(cell) or cell


def _kobo_state(cell: str, draft: Draft) -> None:
    """Kobo's number of a reading state."""
    if state := _KOBO_STATES.get(cell):
        draft["shelf"] = state


def _read_count(cell: str, draft: Draft) -> None:
    number = cell.removesuffix(".0")
    count = int(number[:9]) if number.isdecimal() else 0
    if 0 < count <= _MOST_READS:
        life_of(draft).was_read = True
    if 1 < count <= _MOST_READS:
        draft["read_count"] = count


def _item_type(cell: str, draft: Draft) -> None:
    """Libib lists films, music and games beside books, and Zotero articles and web pages."""
    key = text_key(cell)
    if key in _ITEM_TYPES["no-book"]:
        raise RowProblem(
            f'Row {draft["row"]} is not a book: its type is "{cell}".',
            row=draft["row"],
            title=draft.get("title", ""),
            field="item_type",
        )
    if key not in _ITEM_TYPES["book"]:
        warn(draft, f'The type "{cell}" is not known; the row was taken for a book.')
    if "format" not in draft and key not in _BARE_TYPES:
        draft["format"] = cell


def _collections(cell: str, draft: Draft) -> None:
    """LibraryThing's collections: reading states and own shelves in one list."""
    names = values.parse_tags(cell)
    states = [state for state in map(values.known_shelf, names) if state]
    if states:
        reading_life.take_states(names, states, draft)
    add_tags(tuple(name for name in names if not values.known_shelf(name)), draft)


def _tags(cell: str, draft: Draft) -> None:
    if cell[0] == "#":  # as Obsidian writes tags
        add_tags(values.parse_tags(cell, "#,; "), draft)
        return
    add_tags(values.parse_tags(_unpacked(cell, ", ") if cell[0] in "[{" else cell), draft)


def _spaced_tags(cell: str, draft: Draft) -> None:
    """Jelu writes the tags of a Goodreads import as words."""
    add_tags(values.parse_tags(cell, " ,;"), draft)


def _slashed_tags(cell: str, draft: Draft) -> None:
    """The `sf / travel` of aNobii."""
    add_tags(values.parse_tags(cell, "/,"), draft)


def _voted_tags(cell: str, draft: Draft) -> None:
    """Genres with their votes: `Fiction,Fantasy|1204;Classics|80`."""
    names = [part.partition("|")[0].rpartition(",")[2].strip() for part in cell.split(";")]
    add_tags(tuple(dict.fromkeys(name for name in names if name)), draft)


def _piped_tags(cell: str, draft: Draft) -> None:
    add_tags(values.parse_tags(cell, "|"), draft)


def _rating(scale: int) -> Take:
    def take(cell: str, draft: Draft) -> None:
        try:
            rating = values.parse_rating(cell, scale)
        except ValueError:
            warn(draft, f'The rating "{cell}" was not understood.')
            return
        if rating is not None and "rating" not in draft:
            draft["rating"] = rating

    return take


def _unpacked(cell: str, between: str) -> str:
    """The texts in a cell that holds JSON, of lists and objects the members with the words; any other cell as it is."""
    if cell[-1] not in "]}":
        return cell
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return between.join(_ELEMENT.findall(cell)) if cell[1] == "'" else cell
    return between.join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for element in value:
                yield from _texts(element)
        case dict():
            told = next(
                (value[name] for name in ("content", "text", "note", "body", "name", "value") if name in value), None
            )
            yield from _texts(list(value.values()) if told is None else told)
        case int() | float() if not isinstance(value, bool):
            yield str(value)


def _long_text(field: str, name: str) -> Take:
    most = values.MAX_REVIEW_CHARACTERS

    def take(cell: str, draft: Draft) -> None:
        if cell[0] in "[{":
            cell = _unpacked(cell, "\n\n")
        text = plain_text(cell[: most + most // 2])
        text = f"{draft[field]}\n\n{text}" if field in draft else text
        if len(text) > most or len(cell) > most + most // 2:
            text = text[:most]
            warn(draft, f"The {name} is longer than 100,000 characters; the rest was left out.")
        if len(kept := values.within_bytes(text, values.MAX_REVIEW_BYTES)) < len(text):
            text = kept
            warn(draft, f"The {name} takes more room than can be kept; the rest was left out.")
        if text:
            draft[field] = text

    return take


def _escaped_notes(cell: str, draft: Draft) -> None:
    """Book Catalogue writes a line break as backslash and n."""
    _long_text("notes", "note")(cell.replace("\\n", "\n"), draft)


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
    "series": series.take,
    "series_list": series.take_list,
    "edition": _text("edition"),
    "publisher": _text("publisher"),
    "format": _text("format"),
    "author": _authors(people.authors_of_any_list),
    "authors": _authors(people.authors_of_comma_list),
    "ampersand_authors": _authors(people.authors_of_ampersand_list),
    "inverted_author": _authors(people.authors_of_inverted_list),
    "surname_first_author": _authors(people.author_of_surname_first),
    "comma_authors": _authors(people.authors_of_comma_or_inverted_list),
    "author_first": _author_first,
    "author_last": _author_last,
    "additional_authors": _more_authors(people.authors_of_comma_or_inverted_list),
    "slashed_details": _slashed_details,
    "secondary_authors": _secondary_authors,
    "roles": _roles,
    "publication": _publication,
    "identifiers": _identifiers,
    "collections": _collections,
    "tags": _tags,
    "piped_tags": _piped_tags,
    "semicolon_authors": _authors(_semicolon_list),
    "semicolon_tags": lambda cell, draft: add_tags(_semicolon_list(cell), draft),
    "json_identifiers": _json_identifiers,
    "spaced_tags": _spaced_tags,
    "voted_tags": _voted_tags,
    "slashed_tags": _slashed_tags,
}
_SHORT: dict[str, Take] = {
    "series_index": series.take_index,
    "isbn": _isbn,
    "isbn13": _isbn,
    "isbn_or_storygraph": partial(_isbn, uuid_is="storygraph"),
    "index_in_series": series.take_index_of_series,
    "volume": series.take_volume,
    "year": _number("year", values.parse_year, "year"),
    "original_year": _number("original_year", values.parse_year, "original year"),
    "pages": _number("pages", values.parse_pages, "number of pages"),
    "read_count": _read_count,
    "language": _language,
    "item_type": _item_type,
    "shelf_name": _shelf_name,
    "kobo_state": _kobo_state,
    "owned": reading_life.take_owned,
    "copies": reading_life.take_copies,
    "wishlist": reading_life.take_wish,
}
_LONG: dict[str, Take] = {
    "title": _title_with_series,
    "title_with_series": _title_with_series,
    **{field: _joined_title(shape) for field, shape in SHAPES.items()},
    "mixed_title": _mixed_title,
    "remarked_title": lambda cell, draft: _title_with_series(_without_remarks(cell, draft), draft),
    "review_title": _long_text("review", "review"),
    "review": _long_text("review", "review"),
    "notes": _long_text("notes", "note"),
    "escaped_notes": _escaped_notes,
    "plain_review": _long_plain_text("review"),
    "plain_notes": _long_plain_text("notes"),
    "json_reads": _json_reads,
}
DATES: Final = frozenset({"date_read", "date_started", "date_stopped", "date_added"})
"""The fields whose cells are dates alone."""
WITH_DATES: Final = DATES | {"dates_read", "read_period", "readings", "is_read", "is_dropped", "shelf"}
"""The fields whose cells are dates, or may be."""
_LIFE_DATES: Final = {"date_read": "finished", "date_started": "started", "date_stopped": "stopped"}
_ANSWERS: Final = {
    "is_to_read": "to-read",
    "is_read": "read",
    "is_reading": "currently-reading",
    "is_dropped": "did-not-finish",
}


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
    if name.startswith("id:"):
        return FieldReader(_identifier(name.removeprefix("id:")), _MAX_SHORT_CHARACTERS)
    if take := _of_dates(name, day_first=day_first):
        return FieldReader(take, values.MAX_TEXT_CHARACTERS)
    if name == "rating":
        return FieldReader(_rating(scale), values.MAX_TEXT_CHARACTERS)
    return FieldReader(_SHORT[name], _MAX_SHORT_CHARACTERS)


def _of_dates(name: str, *, day_first: bool) -> Take | None:
    """The field of that name if its cells have dates in them."""
    if field := _LIFE_DATES.get(name):
        return partial(reading_life.take_date, field=field, day_first=day_first)
    if state := _ANSWERS.get(name):
        return partial(reading_life.take_answer, state=state, day_first=day_first)
    takes: dict[str, Take] = {
        "date_added": partial(_date_added, day_first=day_first),
        "dates_read": partial(reading_life.take_ranges, day_first=day_first),
        "read_period": partial(reading_life.take_period, day_first=day_first),
        "last_opened": partial(reading_life.take_last_opened, day_first=day_first),
        "readings": partial(reading_life.take_readings, day_first=day_first),
        "shelf": partial(reading_life.take_state, day_first=day_first),
    }
    return takes.get(name)


def _date_added(cell: str, draft: Draft, *, day_first: bool) -> None:
    if "date_added" in draft:
        return
    if days := reading_life.dates_of(cell, draft, day_first=day_first):
        draft["date_added"] = days[-1]


FIELDS: Final = frozenset({*_TEXT, *_SHORT, *_LONG, *WITH_DATES, *_ANSWERS, "last_opened", "rating"})
"""The names of all fields, but for identifiers: those are `id:` and the name of their system."""
