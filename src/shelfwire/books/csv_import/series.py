"""Series and volumes: their names and numbers, from the forms in which exports write them."""

import re
from typing import Final

from shelfwire.books.csv_import.reading_life import Draft

_NUMBER_WORD: Final = r"(?:book|bk|vol|volume|part|no|nr|band|bd|teil|tome|tomo|deel|del|tom|libro|livre)"
_SERIES_AND_NUMBER: Final = re.compile(
    rf"^(.+?),?\s*(?:#|\b{_NUMBER_WORD}\b\.?\s*#?)\s*(\d[\d.\-\u2013]*)$", re.IGNORECASE
)
_SERIES_IN_BRACKETS: Final = re.compile(r"^(.+?)\s*\(#?(\d[\d.\-\u2013]*)\)$")
_ORDER_OF_SERIES: Final = re.compile(r"^#?\s*(\d[\d.\-\u2013]*)\s*(?::.*)?$")


def in_title(title: str) -> str | None:
    """The series in the last brackets of a title, as "(Earthsea, #2)" or "(Flatworld, #1; Ringwind, #1)"."""
    inner = title[title.rfind("(") + 1 : -1]
    name, found_mark, number = inner.partition(", #")
    if found_mark and number.isdecimal():  # as most are
        return f"{name} #{number}"
    found = [_SERIES_AND_NUMBER.match(part.strip()) for part in inner.split(";")]
    return "; ".join(f"{part[1]} #{part[2]}" for part in found if part) if all(found) else None


def take(cell: str, draft: Draft) -> None:
    """Read a series, perhaps with its number."""
    if "series" not in draft:
        draft["series"] = with_number(cell) if cell[-1].isdecimal() or cell[-1] == ")" else cell


def take_list(cell: str, draft: Draft) -> None:
    """Book Catalogue's `Tides (4)|Storms (2)`."""
    draft.setdefault("series", "; ".join(with_number(part.strip()) for part in cell.split("|") if part.strip()))


def with_number(text: str) -> str:
    """A series with its number in one form: "Tides (4)", "Tides, #4" and "Tides, Vol. 4" are "Tides #4"."""
    found = _SERIES_IN_BRACKETS.match(text) or _SERIES_AND_NUMBER.match(text)
    return f"{found[1].rstrip(' ,')} #{found[2]}" if found else text


def take_index(cell: str, draft: Draft) -> None:
    """The number in the series; where there is no series it is that of the volume."""
    number = cell.removesuffix(".0").removesuffix(",0")
    if order := _ORDER_OF_SERIES.match(number):
        number = order[1]
    if "series" not in draft:
        draft.setdefault("volume", number)
    elif "#" not in draft["series"]:
        draft["series"] += f" #{number}"
    elif not draft["series"].endswith(f"#{number}"):
        draft.setdefault("volume", number)


def take_index_of_series(cell: str, draft: Draft) -> None:
    """Take calibre's number, which is 1.0 also where there is no series."""
    if "series" in draft:
        take_index(cell, draft)


def take_volume(cell: str, draft: Draft) -> None:
    """Read the number of a volume; it is that of the series, if the series has no other."""
    take_index(cell, draft) if "#" not in draft.get("series", "#") else draft.setdefault("volume", cell)
