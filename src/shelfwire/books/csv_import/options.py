"""What who starts a job may wish for: whether Gemini helps to read a list, whether books are looked up."""

from enum import StrEnum
from typing import Final

WISH_INPUT: Final = "gemini"
"""The name of the form field, and of the input that it becomes."""
ENRICH_INPUT: Final = "enrich"
"""The name of the input that says, as `WISHED`, that what is found is to be looked up too."""
WISHED: Final = b"true"
NO_KEY: Final = (
    "Gemini is to read the list, and the server has no key for it: set GEMINI_API_KEY, or leave the wish out"
)
NO_KEY_FOR_A_PERSON: Final = (
    "This service cannot ask Gemini. Import the list without it, or ask the operator to set it up."
)


class GeminiUse(StrEnum):
    """Whether Gemini is asked."""

    AUTO = "auto"
    """What cannot be told with confidence without it, if there is a key."""
    ALWAYS = "always"
    """Whatever the list; without a key there is no import."""
    NEVER = "never"
    """Nothing of the list leaves the machine."""
