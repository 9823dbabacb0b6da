"""Remarks behind the titles of a list in plain text: stars, "(abandoned)", "- finished May 2021"."""

import re
from typing import Final, NamedTuple

from shelfwire.books.csv_import import values

_MARK: Final = re.compile(
    r"(?:^|\s|(?<=[\w)\"\u201d]))[(\[]?(?P<mark>[*\u2605\u2b50]\ufe0f?(?:[*\u2605\u2b50\u2606]\ufe0f?){0,4}\s?(?:\u00bd|1/2)?"
    r"|\d{1,2}(?:[.,]\d)?\s?/\s?(?:5|10)|[1-5](?:[.,]\d)?\s?(?:stars?|sterne?|\u00e9toiles?|estrellas?|stelle|\u2605|\u2b50))[)\]]?$",
    re.IGNORECASE,
)
_IN_BRACKETS: Final = re.compile(r"\s*[(\[](?P<text>[^()\[\]]{2,40})[)\]]$")
_BEHIND_DASH: Final = re.compile(r"(?:\s+[-\u2013\u2014|]\s+|[,;]\s+)(?P<text>[^-\u2013\u2014|,;]{2,40})$")
_MOST_REMARKS: Final = 4


class Remarked(NamedTuple):
    """A text without its remarks.

    Attributes:
        text: what is left.
        mark: a mark as it stands there; empty if there is none.
        states: reading states as they stand there, perhaps with a date.
    """

    text: str
    mark: str
    states: tuple[str, ...]


def without_remarks(cell: str) -> Remarked:
    """Take the remarks at the end of a line from it."""
    text, mark = cell.rstrip(), ""
    states: list[str] = []
    for _ in range(_MOST_REMARKS):
        if not mark and (found := _MARK.search(text)) and text[: found.start()].strip(" -\u2013\u2014,:|"):
            mark = found["mark"]
        elif (found := _IN_BRACKETS.search(text) or _BEHIND_DASH.search(text)) and values.reading_state(found["text"]):
            states.append(found["text"])
        else:
            break
        text = text[: found.start()].rstrip(" -\u2013\u2014,:|")
    return Remarked(text, mark, tuple(states))
