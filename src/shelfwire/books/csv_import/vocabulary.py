"""Words of many languages that cells consist of, from the files in `words/`."""

from importlib.resources import files
from typing import Final

from shelfwire.books.bibliography.text import text_key

_FOLDER: Final = files(__package__) / "words"


def spelt(name: str) -> frozenset[str]:
    """All words of a file as they are spelt, in lower case."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    words = (word for line in lines if not line.startswith(("#", "[")) for word in line.split("|"))
    return frozenset(word.strip().lower() for word in words if word.strip())


def vocabulary(name: str) -> dict[str, frozenset[str]]:
    """The words of a file, as keys, by what they mean: a line `[meaning]` is followed by its words.

    Words are separated by bars or lines; a line that begins with `#` is a remark.
    """
    return {meaning: frozenset(map(text_key, words)) for meaning, words in phrases_of(name).items()}


def phrases_of(name: str) -> dict[str, list[str]]:
    """The same words as they are spelt."""
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            words = found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            words += filter(None, map(str.strip, line.split("|")))
    return found
