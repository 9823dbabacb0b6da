"""Words that tell what a line of a spine is; they are kept, folded, in the text files beside this module."""

from importlib.resources import files
from typing import Final

_FOLDER: Final = files(__package__) / "words"


def _words(name: str) -> frozenset[str]:
    return frozenset((_FOLDER / f"{name}.txt").read_text(encoding="utf-8").split())


GIVEN: Final = _words("given")
"""Given names that are seen on books again and again."""
NOISE: Final = _words("noise")
"""Words of which nothing is made but praise, editions and prices."""
LITTLE: Final = _words("little")
"""Words that stand in titles, and hardly in names."""
PARTICLES: Final = _words("particles")
"""Words that stand in names, whether or not they stand in titles."""
