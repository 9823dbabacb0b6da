"""The names of fields for people: in messages, and in the option that says what a column holds."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from shelfwire.books.csv_import.joined_titles import JOINED

ColumnMeaning = Literal[
    "title", "subtitle", "author", "author_last_first", "more_authors", "isbn", "publisher", "year", "original_year",
    "pages", "format", "language", "series", "series_number", "volume", "edition", "item_type", "shelf", "to_read",
    "read", "reading", "abandoned", "owned", "copies", "wishlist", "tags", "rating", "date_read", "date_started",
    "date_stopped", "date_added", "reads", "read_count", "review", "review_title", "notes", "asin", "goodreads",
    "ignore",
]  # fmt: skip
"""What a person may say of a column: the name of a field, or `ignore`."""
IGNORE: Final = "ignore"
MEANINGS: Final[tuple[str, ...]] = get_args(ColumnMeaning)

_FIELDS: Final[Mapping[str, str]] = {
    "author_last_first": "inverted_author",
    "more_authors": "additional_authors",
    "series_number": "series_index",
    "to_read": "is_to_read",
    "read": "is_read",
    "reading": "is_reading",
    "abandoned": "is_dropped",
    "reads": "dates_read",
    "asin": "id:asin",
    "goodreads": "id:goodreads",
}
_MEANINGS: Final[Mapping[str, str]] = {field: meaning for meaning, field in _FIELDS.items()} | {
    "title_with_series": "title",
    **dict.fromkeys(JOINED, "title"),
    "authors": "author",
    "slashed_details": "author",
    "comma_authors": "author",
    "ampersand_authors": "author",
    "surname_first_author": "author",
    "secondary_authors": "more_authors",
    "roles": "more_authors",
    "isbn13": "isbn",
    "isbn_or_storygraph": "isbn",
    "publication": "publisher",
    "identifiers": "identifiers",
    "collections": "tags",
    "piped_tags": "tags",
    "spaced_tags": "tags",
    "voted_tags": "tags",
    "slashed_tags": "tags",
    "escaped_notes": "notes",
    "series_list": "series",
    "author_first": "author",
    "author_last": "author",
    "index_in_series": "series_number",
    "shelf_name": "shelf",
    "kobo_state": "shelf",
    "last_opened": "date_read",
    "read_period": "reads",
    "readings": "reads",
    "semicolon_authors": "author",
    "semicolon_tags": "tags",
    "json_identifiers": "identifiers",
    "json_reads": "reads",
    "plain_review": "review",
    "plain_notes": "notes",
}


def field_of_meaning(meaning: str) -> str:
    """The field of `fields` that a person's word means."""
    return _FIELDS.get(meaning, meaning)


def meaning_of(field: str) -> str:
    """The word for people that a field of `fields` has."""
    return _MEANINGS.get(field, field.removeprefix("id:"))


def in_words(field: str) -> str:
    """A field of `fields` within a sentence."""
    return meaning_of(field).replace("_", " ")
