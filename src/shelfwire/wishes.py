"""What who starts an import may wish for: whether Gemini helps to read the list."""

from enum import StrEnum
from typing import Final

WISH_INPUT: Final = "gemini"
"""The name of the form field, and of the input that it becomes."""
NO_KEY: Final = (
    "Gemini is to read the list, and the server has no key for it: set GEMINI_API_KEY, or leave the wish out"
)
NO_KEY_FOR_A_PERSON: Final = (
    "This service cannot ask Gemini. Import the list without it, or ask the operator to set it up."
)


class Wish(StrEnum):
    """Whether Gemini is asked."""

    AUTO = "auto"
    """What cannot be told with confidence without it, if there is a key."""
    ALWAYS = "always"
    """Whatever the list; without a key there is no import."""
    NEVER = "never"
    """Nothing of the list leaves the machine."""
