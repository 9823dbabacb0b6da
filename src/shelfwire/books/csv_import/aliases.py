"""Names that people give the columns of a book list, in many languages, from the files in `words/columns/`."""

from typing import Final

from shelfwire.books.csv_import.vocabulary import vocabulary

CODES: Final = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ru", "ja", "zh", "ar", "cs", "sk", "hu", "tr", "ro", "el",
    "uk", "bg", "hr", "da", "no", "fi", "ko", "ca",
)  # fmt: skip
"""The languages that column names are known in (ISO 639-1)."""
_FIELDS: Final = {code: vocabulary(f"columns/{code}") for code in CODES}

LANGUAGES: Final = {
    code: {name: field for field, names in fields.items() for name in names} for code, fields in _FIELDS.items()
}
"""Field by column name (as key), by language; the order of languages decides where nothing else does."""

OTHER_COLUMNS: Final = vocabulary("columns/others")["others"]
"""Names (as keys) of columns that hold nothing for a book and must not be taken for a misspelt one."""

FIELD_ORDER: Final = tuple(dict.fromkeys(field for fields in _FIELDS.values() for field in fields))
"""Every field of a generic list, in order of precedence."""
