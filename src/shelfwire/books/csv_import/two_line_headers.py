"""Headers of two lines, as tables with merged cells have them: "Dates" above "Started" and "Finished"."""

from collections.abc import Sequence
from typing import Final

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.headers import exact_field

_WHOLE: Final = frozenset(
    text_key(word)
    for line in (
        "overall total gesamt insgesamt ogólna ogólnie razem global globale générale général general geral totale",
        "generale complessivo totaal algemeen totalt celkem celkově összesen общая итог итого genel toplam",
        "総合 综合 總分 전체 종합",
    )
    for word in line.split()
)
"""Names, as keys, for the one of several columns of a group that sums the others up."""
_FEWEST: Final = 2


def with_groups(header: Sequence[str], above: Sequence[str], language: str) -> Sequence[str]:
    """The names of a header below a line with groups of columns, one of which at least is a name that is known.

    A name that says nothing by itself gets that of its group, as in "Rating: plot"; the one that sums the others up,
    and one that has no name of its own, is called like the group.
    """
    group = ""
    names = list(header)
    if sum(bool(cell.strip()) for cell in above) >= sum(bool(cell.strip()) for cell in header):
        return header
    if not any(exact_field(cell, language) for cell in above if cell.strip()):
        return header
    for index, name in enumerate(header):
        group = (above[index].strip() if index < len(above) else "") or group
        names[index] = _name(group, name.strip(), language)
    return names


def with_names_below(header: Sequence[str], below: Sequence[str], language: str) -> Sequence[str] | None:
    """The names of a header whose groups have names of their own in the line below it; None if that line has none.

    That line has but words, half of them names that are known, and at least one below a cell without a name.
    """
    filled = {index: cell.strip() for index, cell in enumerate(below[: len(header)]) if cell.strip()}
    names = [name.strip() for name in header]
    if len(filled) < _FEWEST or any(below[len(header) :]) or all(names[index] for index in filled):
        return None
    known = [name for name in filled.values() if exact_field(name, language) or text_key(name) in _WHOLE]
    if len(known) * 2 < len(filled) or any(character.isdecimal() for name in filled.values() for character in name):
        return None
    found = []
    group = ""
    for index, name in enumerate(names):
        group = name or group
        found.append(_name(group, filled[index], language) if index in filled else name)
    return found


def _name(group: str, name: str, language: str) -> str:
    """The name of a column of a group."""
    if not group or exact_field(name, language):
        return name
    return group if not name or text_key(name) in _WHOLE else f"{group}: {name}"
