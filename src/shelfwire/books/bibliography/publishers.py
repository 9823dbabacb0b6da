"""Publishers and their series, by the names in the files beside this module. Pure."""

from importlib.resources import files
from typing import Final

from rapidfuzz import fuzz

from shelfwire.books.bibliography.text import words

_FOLDER: Final = files(__package__) / "words"
_LONG_ENOUGH: Final = 5
_ALIKE: Final = 84
_AND: Final = "and"


def _lines(name: str) -> list[str]:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def _joined(name: list[str]) -> str:
    return "".join(word for word in name if word != _AND)


_COMPANY: Final = frozenset(" ".join(_lines("company")).split())
"""Words that publishers add to their names."""
_PUBLISHERS: Final = frozenset(_joined(name.split()) for name in _lines("publishers"))
"""Names of publishers and of their series without spaces, and without what `_COMPANY` holds."""
_LONG_NAMES: Final = [name for name in _PUBLISHERS if len(name) >= _LONG_ENOUGH]


def is_publisher(text: str) -> bool:
    """Whether a text is a publisher's name or that of a series, misread a little perhaps."""
    found = words(text)
    whole = _joined(found)
    name = _joined([word for word in found if word not in _COMPANY]) or whole
    if not name or name in _PUBLISHERS or whole in _PUBLISHERS:
        return bool(name)
    return len(name) >= _LONG_ENOUGH and any(fuzz.ratio(name, other) >= _ALIKE for other in _LONG_NAMES)
