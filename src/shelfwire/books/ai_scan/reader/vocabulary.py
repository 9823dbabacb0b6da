"""Words that show what a line of a spine is, kept as folded text in the files beside this module."""

from importlib.resources import files
from typing import Final

_FOLDER: Final = files(__package__) / "words"


def _words(name: str) -> frozenset[str]:
    return frozenset((_FOLDER / f"{name}.txt").read_text(encoding="utf-8").split())


NOISE: Final = _words("noise")
"""Words of praise, editions and prices."""
LITTLE: Final = _words("little")
"""Words of titles that are rare in names."""
PARTICLES: Final = _words("particles")
"""Words of names that may be in titles, too."""
