"""Names of authors, from the forms in which exports write them to "First Last"."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from shelfwire.books.bibliography.given_names import GIVEN
from shelfwire.books.bibliography.text import words

_AND: Final = r" (?:[Aa]nd|und|et(?! al\b)|og|och|и) | (?:y|e|i|en) (?=[^\s,]+ [^\s,])"
"""Between two names; one letter only before a name of two words, since "Ortega y Gasset" is one."""
_SPECIAL: Final = re.compile(
    rf"[,;&|/()\[\]\n、\uff08\uff0f\uff1b]|  |{_AND}|[\s](?:저|지음|글|著|著者|역|옮김|訳|译)$"
)
_WRITING: Final = re.compile(r"\b(?:author|writer|auteur|autor|autore|verfasser|text|by)|[著作저]", re.IGNORECASE)
_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md", "dds", "esq", "obe", "mbe", "cbe"})
_HONORIFICS: Final = frozenset({"sir", "dame", "lord", "lady", "dr", "prof", "mrs", "rev", "baron", "baroness"})
"""Words that catalogues put behind an inverted name, and that stand before any other."""
PARTICLES: Final = frozenset(
    word
    for line in (
        "al aus bin da das de dei del della den der des di do dos du el ibn la las le les lo los mac o' st.",
        "saint ten ter van vander vom von y zu zum zur",
    )
    for word in line.split()
)
"""Words before a surname that belong to it."""
_CONJUNCTION: Final = re.compile(
    rf"[;|&\n、\uff1b]|\uff0f(?![著作訳編絵文])|(?<=\uff0f[著作訳編絵文])\s| / |(?<=[저역著訳译譯음김림])/|,?(?:{_AND})"
)
_LIFE: Final = re.compile(r"(?:b\. |d\. |ca?\. ?|fl\. )?\d{3,4}\??(?: ?[-\u2013] ?(?:ca?\. ?)?(?:\d{3,4}\??)?)?\.?")
_NATIONALITY: Final = re.compile(r"^[\[(\uff08\u3014\u3010][\u4e00-\u9fff]{1,4}[\])\uff09\u3015\u3011]\s*")
"""The author's country as Chinese lists put it before a name: "[美]"."""
_MAY_HAVE_ROLES: Final = re.compile(
    r"[(\[\uff08]|[^\W\d_](?<=[역김림음訳绘絵译譯编編])(?!\w)|, ?[eitnchü]", re.IGNORECASE
)
_EASTERN_ROLE: Final = re.compile(
    r"(?:\s|[/\uff0f])(?:(?P<writing>저|저자|지음|지은이|글|원작|著|著者|作|文|原作)"
    r"|(?P<helping>역|역자|옮김|옮긴이|그림|엮음|편|감수|訳|訳者|翻訳|編|編集|監修|絵|イラスト|译|譯|编))$"
)
"""What somebody did, as Korean, Japanese and Chinese put it behind a name."""
_FULLER: Final = re.compile(r"(?<=[^\W\d_]\.)\s*\([^()\d]{2,60}\)(?=,|\.?$)")
"""The names that the initials before them stand for."""
_ROLE: Final = re.compile(
    r",\s*(?P<role>(?:joint )?author|writer|editor|illustrator|translator|narrator|compiler|ed|ill|illus|tr|trans"
    r"|autor(?:in)?|auteur|autore|verfasser(?:in)?|herausgeber(?:in)?|hrsg|übersetzer(?:in)?|illustrateur|traducteur|traductor)\.?$",
    re.IGNORECASE,
)
"""What a record says that somebody did. Source: the relator terms of MARC 21, the most usual ones."""
_OF_MANY: Final = re.compile(
    r"[()\d\"/;&]|\b(?:of|and|for|the|inc|ltd|llc|gmbh|co|corp|company|press|university|universit\w+|institut\w*"
    r"|society|association|committee|conference|department|ministry|museum|library|school|staff|editors)\b",
    re.IGNORECASE,
)
"""What shows that a name is one of an organisation, or more than a name."""
_MOST_SURNAMES: Final = 3
_MOST_GIVEN: Final = 5
_LETTERS_OF_ABBREVIATION: Final = 3
_NOBODY: Final = frozenset({"unknown", "unknown author", "n/a", "none", "-", "?"})
MOST_AUTHORS: Final = 100
"""More names than this are no list of authors."""


_SHARED: Final = re.compile(r"([^\W\d_]+) (?:[Aa]nd|und|et|og|och|и|&) (([^\W\d_]+)((?: [^\W\d_]\.?)* [^\W\d_]+))")
"""Two given names before one surname: "Stephen and Owen King"."""
_PLURALS: Final = ("ие", "ы")
"""How the surname ends that Russian puts in the plural for two; neither author has it in that form."""
_ALONE: Final = frozenset({"homer", "virgil", "horace", "dante", "plato", "aristotle"})
"""Given names of today that authors of old have alone."""


@lru_cache(maxsize=16_384)
def authors_of_any_list(cell: str) -> tuple[str, ...]:
    """Authors from a hand-made list: "A & B", "A; B", "A, B" and "Last, First" alike."""
    if cell[-1:] == "*":  # as Goodreads marks its authors
        cell = cell.rstrip("* ")
    return _any_list(cell) if _SPECIAL.search(cell) else _one(cell)


def _any_list(cell: str) -> tuple[str, ...]:
    if shared := _SHARED.fullmatch(cell):
        if shared[4].endswith(_PLURALS):
            return (cell,)
        if {shared[1].lower(), shared[3].lower()} <= GIVEN - _ALONE:
            surname = shared[4].rpartition(" ")[2]
            return f"{shared[1]} {surname}", shared[2]
    return _known(_names_of_any_list(cell))


def others_of_any_list(cell: str) -> tuple[str, ...]:
    """The people of such a list who are none of its authors, with their roles: "William Weaver (Translator)"."""
    if not _MAY_HAVE_ROLES.search(cell):
        return ()
    writing, helping = _by_role(_names_of_any_list(cell))
    return tuple(f"{person} ({role})" for person, role in helping.items()) if writing else ()


def _names_of_any_list(cell: str) -> list[str]:
    names: list[str] = []
    if cell.endswith(":"):  # as Kindle ends each name
        cell = cell.replace(":", ";")
    for part in _CONJUNCTION.split(_unbracketed(cell)):
        heading, role = _of_a_record(part) if "," in part else (part, "")
        parts = [" ".join(piece.split()) for piece in heading.split(",")]
        parts = [piece for piece in parts if not _LIFE.fullmatch(piece)] if len(parts) > 1 else parts
        if _is_one_inverted(parts):
            names.append(given_name_first(", ".join(parts)) + role)
        elif role and len(parts) == 1:
            names.append(parts[0] + role)
        else:
            names.extend(_with_suffixes(parts))
    return names


def authors_of_comma_list(cell: str) -> tuple[str, ...]:
    """Authors from "A, B (Translator)": those with another role than writing are left out, unless nobody is left."""
    return _comma_list(cell) if _SPECIAL.search(cell) else _one(cell)


@lru_cache(maxsize=2048)
def _comma_list(cell: str) -> tuple[str, ...]:
    return _known(_with_suffixes([part.strip() for part in re.split(r"[,;\n]", cell)]))


def authors_of_comma_or_inverted_list(cell: str) -> tuple[str, ...]:
    """The same, but one name that is inverted: "Powell, Stephan" is one person, "Ann Orr, Tim Hult" are two."""
    last, comma, first = cell.partition(",")
    if comma and last.strip() and first.strip() and len(last.split()) == len(first.split()) == 1 and "," not in first:
        return authors_of_inverted_list(cell)
    return authors_of_comma_list(cell)


@lru_cache(maxsize=2048)
def authors_of_ampersand_list(cell: str) -> tuple[str, ...]:
    """Authors from "A & B", as calibre joins them; its commas belong to the names."""
    return _known(cell.split("&"))


@lru_cache(maxsize=2048)
def authors_of_inverted_list(cell: str) -> tuple[str, ...]:
    """Authors from "Last, First|Last, First"."""
    return _known(_inverted(_unbracketed(name.strip())) for name in re.split(r"[|;]", cell))


def _inverted(name: str) -> str:
    heading, role = _of_a_record(name) if "," in name else (name, "")
    parts = heading.split(",")
    return given_name_first(",".join(part for part in parts if not _LIFE.fullmatch(part.strip()))) + role


def _of_a_record(name: str) -> tuple[str, str]:
    """A name from a library's record without the fuller form of its initials; and its role, in brackets if it has one.

    "Tolkien, J. R. R. (John Ronald Reuel), 1892-1973, author" is "Tolkien, J. R. R., 1892-1973" and " (author)".
    """
    name = _FULLER.sub("", name.strip())
    role = _ROLE.search(name)
    return (name[: role.start()], f" ({role['role']})") if role else (name, "")


@lru_cache(maxsize=2048)
def author_of_surname_first(cell: str) -> tuple[str, ...]:
    """The author from "Last First" without comma, as Babelio writes it.

    The first word is the surname ("Oates Joyce Carol"); a particle before it belongs to it ("Le Carré John"), and
    so does one at the end ("Bruycker Daniel de").
    """
    if "," in cell:
        return authors_of_inverted_list(cell)
    parts = cell.split()
    surname = 1
    if is_surname_first(cell) and parts[0].isupper():
        surname = next(place for place, part in enumerate(parts) if not part.isupper())
        parts[:surname] = [part.title() for part in parts[:surname]]
    while surname < len(parts) and parts[surname - 1].lower() in PARTICLES:
        surname += 1
    given, last = parts[surname:], parts[:surname]
    while given and given[-1].lower() in PARTICLES and given[-1].islower():
        last.insert(0, given.pop())
    return _known((" ".join([*given, *last]),))


def is_surname_first(name: str) -> bool:
    """Whether a name without a comma has its surname first, as "CAMUS Albert", or by its given name "Lem Stanisław"."""
    parts = name.split()
    if len(parts) < 2 or _SPECIAL.search(name):  # noqa: PLR2004 - surname and given name
        return False
    capitals = [part.isupper() and len(part) > 1 and "." not in part for part in parts]
    if any(capitals) and not all(capitals):
        return capitals[0] and not capitals[-1]
    first, last = (_folded(part) for part in (parts[0], parts[-1]))
    return len(parts) == 2 and last in GIVEN and first not in GIVEN  # noqa: PLR2004 - as above


def _folded(word: str) -> str:
    found = words(word)
    return found[0] if found else ""


def given_name_first(name: str) -> str:
    """Turn "Last, First" into "First Last"; a suffix stays behind ("King, Martin Luther, Jr."), "Sir" goes before."""
    last, comma, first = name.partition(",")
    if not comma:
        return name
    first, _, suffix = first.partition(",")
    first, last, suffix = _without_full_stop(first.strip()), last.strip(), suffix.strip()
    parts = (suffix, first, last) if suffix.rstrip(".").lower() in _HONORIFICS else (first, last, suffix)
    return " ".join(filter(None, parts))


def natural_order(name: str) -> str:
    """A name from a library's record, given name first: "Le Guin, Ursula K.", "Perez, Louis A., Jr", "Oakes, James.".

    Years of a life are left out. Names of organisations keep their commas: "University of California, Berkeley".
    """
    if "," not in name:
        return name
    parts = [" ".join(part.split()) for part in name.split(",")]
    parts = [part for part in parts if part and not _LIFE.fullmatch(part)]
    whole = ", ".join(parts)
    if len(parts) < 2 or _OF_MANY.search(whole):  # noqa: PLR2004 - surname and given name
        return whole
    surname, given, *behind = parts
    if _is_suffix(given):
        return " ".join([surname, given, *behind])
    if len(behind) > 1 or not all(_is_suffix(part) for part in behind) or not _is_name(surname, given):
        return whole
    return " ".join([_without_full_stop(given), surname, *map(_without_full_stop, behind)])


def is_writing(role: str) -> bool:
    """Whether a role, such as "Editor" or "Author", is to have written the book; no role is."""
    return not role.strip() or bool(_WRITING.search(role))


def _is_inverted(last: str, first: str) -> bool:
    """Whether two words around a comma are one inverted name rather than two people."""
    surname = last.split()
    if not surname or not first or "(" in first or _is_suffix(first):
        return False
    return len(surname) == 1 or len(first.split()) == 1 or surname[0].lower() in PARTICLES


def _is_one_inverted(parts: list[str]) -> bool:
    """Whether the parts of a cell are a surname, a given name, and perhaps a suffix or "Sir"."""
    match parts:
        case [last, first]:
            return _is_inverted(last, first)
        case [last, first, behind]:
            is_addition = _is_suffix(behind) or behind.rstrip(".").lower() in _HONORIFICS
            return is_addition and _is_inverted(last, first)
    return False


def _is_name(surname: str, given: str) -> bool:
    return len(surname.split()) <= _MOST_SURNAMES and len(given.split()) <= _MOST_GIVEN


def _without_full_stop(name: str) -> str:
    """A name without the full stop of a library's record, which initials ("J.R.R.") and abbreviations keep."""
    last = name.rpartition(" ")[2].rstrip(".")
    is_short = len(last) <= _LETTERS_OF_ABBREVIATION or "." in last
    return name if is_short else name.rstrip(".")


def _is_suffix(word: str) -> bool:
    return word.replace(".", "").replace(" ", "").lower() in _SUFFIXES


def _with_suffixes(parts: Iterable[str]) -> list[str]:
    names: list[str] = []
    for part in parts:
        if names and _is_suffix(part):
            names[-1] += f" {part}"
        else:
            names.append(part)
    return names


def _unbracketed(name: str) -> str:
    return name[1:-1] if name.startswith("[") and name.endswith("]") and name.count("[") == 1 else name


def _without_role(name: str) -> tuple[str, str]:
    """Take "Ann Reader (Narrator)" apart."""
    opening = name.rfind("(" if name.endswith(")") else "[")
    return (name[:opening].rstrip(), name[opening + 1 : -1]) if opening > 0 else (name, "")


def _one(name: str) -> tuple[str, ...]:
    return () if name.lower() in _NOBODY else (name,)


def _known(names: Iterable[str]) -> tuple[str, ...]:
    writing, helping = _by_role(names)
    return tuple(writing or helping)[:MOST_AUTHORS]


def _by_role(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The people who wrote, and the others, with their roles."""
    writing: dict[str, str] = {}
    helping: dict[str, str] = {}
    for given in names:
        name = given if given.isascii() else given.replace("\uff08", "(").replace("\uff09", ")")
        tidy = _NATIONALITY.sub("", " ".join(_unbracketed(name.strip()).split()))
        person, role = _without_role(tidy) if tidy.endswith((")", "]")) else (tidy, "")
        if not tidy.isascii() and (east := _EASTERN_ROLE.search(person)):
            person, role = person[: east.start()], role or ("" if east["writing"] else east["helping"])
        if person and person.lower() not in _NOBODY:
            (writing if is_writing(role) else helping)[person] = role
    return writing, helping
