"""Given names that are frequent on books: what starts with one is a person's name."""

from importlib.resources import files
from typing import Final

GIVEN: Final = frozenset((files(__package__) / "words" / "given.txt").read_text(encoding="utf-8").split())
"""Given names, as folded text."""
