"""Text from files and services without what moves a cursor, turns a line around or cannot be encoded."""

import re
from typing import Final

# Controls but for white space, the separators and directions of Unicode, and halves of surrogate pairs.
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
# What cannot be seen; joiners stay, because Persian, Indic scripts and emoji are written with them.
_INVISIBLE: Final = re.compile(r"[\u00ad\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb]+")
_LINE_ENDS: Final = re.compile(r"[\t-\r]+")
# What a spreadsheet runs as a formula, behind any apostrophes that keep it from that (OWASP, "CSV Injection").
_FORMULA: Final = re.compile(r"\A'*[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"\A[+-]?\d+(\.\d+)?\Z")


def safe(text: str) -> str:
    """Replace runs of unsafe characters by a space and drop invisible ones; lines and other white space stay."""
    return text if text.isprintable() else _INVISIBLE.sub("", _UNSAFE.sub(" ", text))


def safe_line(text: str) -> str:
    """The same in one line, without space around it."""
    return text.strip() if text.isprintable() else _LINE_ENDS.sub(" ", safe(text)).strip()


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which UTF-8 cannot express, by question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def safe_cell(text: str) -> str:
    """Write a cell of a table so that no spreadsheet runs it as a formula: with an apostrophe before what looks so."""
    return "'" + text if _FORMULA.match(text) and not _NUMBER.match(text) else text


def text_of_cell(cell: str) -> str:
    """Read a cell that `safe_cell` has written."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
