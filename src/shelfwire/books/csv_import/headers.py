"""What the names of columns say, in many languages, misspelt ones too."""

import re
from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import OSA

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.aliases import LANGUAGES, OTHER_COLUMNS
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS

_MAX_NAME_CHARACTERS: Final = 80
_KNOWN: Final = frozenset(
    {*OTHER_COLUMNS, *(name for names in LANGUAGES.values() for name in names)}
    | {name for export in EXPORT_FORMATS for name in export.columns}
)
_CORE_FIELDS: Final = frozenset({"title", "author", "isbn", "isbn13"})
# A header names at least one of these; words such as "read" or "owned" occur in rows of books too.
_CORE: Final = frozenset(
    {name for names in LANGUAGES.values() for name, field in names.items() if field in _CORE_FIELDS}
    | {name for export in EXPORT_FORMATS for name in export.signature}
)
_REMARK: Final = re.compile(r"\s*(?:[(\[].*[)\]]|(?:/|out of|von|sur|de|di|van|av|na|из)\s*\d+)\s*$", re.IGNORECASE)
_OTHER_DATES: Final = (
    "review", "publi", "modif", "updat", "releas", "purchas", "due", "loan", "lent", "birth", "print", "order", "sync",
    "last", "borrow", "sold", "copyright", "ausgel", "entlieh", "prest", "verlieh", "check", "return", "ruckg",
    "emprunt",
)  # fmt: skip
"""Stems of columns whose dates are not those of reading."""
_DATE_STEMS: Final[dict[str, tuple[str, ...]]] = {
    "date_stopped": ("stop", "abandon", "drop", "dnf", "abgebroch", "abbandon", "porzuc", "брош", "中断"),
    "date_started": (
        "start", "begin", "began", "begonn", "angefang", "debut", "commenc", "inici", "inizi", "borj", "paborj",
        "rozpocz", "zacat", "kezd", "basla", "incep", "zapoc", "pabegynd", "pabegyn", "aloit", "εναρξ", "начал",
        "начат", "почат", "почин", "розпоч", "開始", "开始", "시작",
    ),
    "date_read": (
        "finish", "end", "complet", "read", "done", "gelesen", "beend", "ausgelesen", "lecture", "termin", "leido",
        "lectura", "letto", "lettura", "fine", "lido", "leitura", "conclu", "gelezen", "uitgelezen", "last", "utlast",
        "przeczyt", "ukoncz", "прочит", "прочт", "оконч", "fim", "ende", "slut",
        "konec", "koniec", "docten", "precten", "befejez", "olvas", "bitis", "bitir", "okuma", "terminar", "luettu",
        "lukem", "lopet", "faerdig", "ferdig", "procit", "zavrs", "ολοκλ", "завер", "読了", "读完", "読んだ", "완독",
        "완료",
    ),
    "date_added": ("add", "acquir", "creat", "enter", "hinzugef", "ajout", "anadid", "aggiun", "adicion", "toegevoegd"),
}  # fmt: skip
"""By field, stems of words in the name of its column, as keys; the first field counts."""
_ONE_OF_MANY: Final = re.compile(r"(?P<name>\D*[^\W\d_])[\s_]*(?P<number>\d{1,2})")
_NUMBER_SIGN: Final = re.compile(r"(?<=\w)\s*#$")
_WORDS: Final = re.compile(r"[^\W_]+")
_OWN: Final = frozenset(
    word
    for line in (
        "my mine your user personal own mein meine meiner eigene ma mon mes mi mis mia mio il minha meu mijn min mitt",
        "moja moje moj muj mé můj moji мой моя моё мои mitt votre deine dein tu tus seu sua uw jouw din ditt تقييمي",
    )
    for word in line.split()
)
"""Words by which a column's name says that it holds the reader's own."""
_PARTS_OF_NAMES: Final = frozenset({"author_first", "author_last"})
"""Fields whose names, such as "last name", are near to many that mean something else."""
_SHORTEST_FUZZY = 5
_LONG_NAME = 8


def header_strength(cells: Sequence[str]) -> int:
    """How many of a row's cells are names of columns; 0 if none of them is essential to a list of books."""
    if any(len(cell) > _MAX_NAME_CHARACTERS for cell in cells):
        return 0
    keys = {text_key(cell) for cell in cells}
    return len(keys & _KNOWN) if keys & _CORE else 0


def generic_field(key: str, language: str) -> str | None:
    """The field that a column name stands for, or None.

    A misspelt name counts if it is one edit (two in long names) from a known one, and not as near to the name of
    a column that holds something else.

    Args:
        key: The name as `text_key` gives it.
        language: The header's language, whose names come first: "note" is a mark in French, a comment in English.
    """
    if key in OTHER_COLUMNS and key not in LANGUAGES[language]:
        return None
    return _exact(key, language) or _nearest(key, LANGUAGES["en"] | LANGUAGES[language])


def exact_field(name: str, language: str) -> str | None:
    """The field that a column's name stands for, letter for letter but for its scale or a remark in brackets.

    "Score /5" and "Rating (1-10)" are ratings, "Date Read (YYYY-MM-DD)" is a date.
    """
    key = text_key(_NUMBER_SIGN.sub(" number", name))
    if key in OTHER_COLUMNS and key not in LANGUAGES[language]:
        return None
    if field := _exact(key, language):
        return field
    bare = text_key(_REMARK.sub("", name))
    if bare and bare != key and bare not in OTHER_COLUMNS:
        return _exact(bare, language)
    return _of_the_reader(name, language) or _of_many(name, language)


def _of_the_reader(name: str, language: str) -> str | None:
    """The field of a name that begins with whose it is: "Your review", "Mijn waardering"."""
    whose, _, rest = name.strip().partition(" ")
    key = text_key(rest)
    if not key or whose.casefold() not in _OWN or key in OTHER_COLUMNS:
        return None
    return _exact(key, language)


def _of_many(name: str, language: str) -> str | None:
    """The field of one column of several with a number each: "Category 2", "AUTHOR2"."""
    if (numbered := _ONE_OF_MANY.fullmatch(name)) is None:
        return None
    field = _exact(text_key(numbered["name"]), language)
    if field == "author" and numbered["number"] != "1":
        return "additional_authors"
    return field if field in ("author", "tags", "additional_authors") else None


def field_of_dates(name: str) -> str | None:
    """The field of a column of dates by the stems in its name: "Finished Reading Date", "Date started 2".

    Only for columns whose cells are dates.
    """
    words = [text_key(word) for word in _WORDS.findall(name.replace("_", " "))]
    key = text_key(name)
    if key in OTHER_COLUMNS or any(word.startswith(_OTHER_DATES) for word in words):
        return None
    for field, stems in _DATE_STEMS.items():
        if any(word.startswith(stems) for word in words) or any(stem in key for stem in stems if not stem.isascii()):
            return field
    return None


def misspelt_field(name: str, language: str) -> str | None:
    """The field whose name a column's is nearly; its cells decide whether it is."""
    key = text_key(name)
    if key in OTHER_COLUMNS or any(text_key(word).startswith(_OTHER_DATES) for word in _WORDS.findall(name)):
        return None
    return _nearest(key, LANGUAGES["en"] | LANGUAGES[language])


def is_about_the_reader(name: str) -> bool:
    """Whether a column's name says that it holds the reader's own, as "My Rating"."""
    return not _OWN.isdisjoint(_WORDS.findall(name.casefold())) or name.startswith(("私の", "我的", "自分"))


def _exact(key: str, language: str) -> str | None:
    names = LANGUAGES[language]
    if key in names:
        return names[key]
    return next((others[key] for others in LANGUAGES.values() if key in others), None)


def _nearest(key: str, names: dict[str, str]) -> str | None:
    if len(key) < _SHORTEST_FUZZY or not key.isalpha():
        return None
    limit = 1 if len(key) < _LONG_NAME else 2
    nearest, field = min(
        (
            (_edits(key, name, limit), field)
            for name, field in names.items()
            if len(name) >= _SHORTEST_FUZZY and field not in _PARTS_OF_NAMES
        ),
        key=lambda candidate: candidate[0],
    )
    if nearest > limit or any(_edits(key, other, limit) <= nearest for other in OTHER_COLUMNS):
        return None
    return field


def _edits(key: str, name: str, limit: int) -> int:
    return OSA.distance(key, name, score_cutoff=limit)
