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
GIVEN_ANYWHERE: Final = _words("given_names")
"""Given names of the countries that write in Latin letters, from Faker; some are everyday words elsewhere."""
FAMILY: Final = _words("family_names")
"""Family names of the same countries, from the same source."""
NO_BOOKS: Final = _words("no_books")
"""Words on boxes of games, posters and cases of films."""
