"""Texts in the one form in which titles and names are compared and indexed: words of plain letters and digits. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from anyascii import anyascii

MOST_WORDS: Final = 60
"""Of a title or a name; what follows is not looked at."""
SEPARATOR: Final = "|"
"""Between the names of several authors; no word has it."""

# A plus and a hash sign tell "C++" and "C#" from "C".
_WORD: Final = re.compile(r"[a-z0-9]+[+#]*")
# Most texts are ASCII without those, and splitting bytes takes a fifth of the time.
_SPLITTING: Final = bytes(
    code if chr(code).isascii() and chr(code).isalnum() else 0x20 for code in bytes(range(256)).lower()
)
_APOSTROPHE: Final = b"'"
# What a title may have beside its main part shows by one of these.
_IN_PARTS: Final = re.compile(r"[()\[\]:;/\u2013\u2014]|\s-\s|\sor,")
_IN_BRACKETS: Final = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_SUBTITLE: Final = re.compile(r"\s*(?::|;|\s[-\u2013\u2014/]\s|,?\sor,\s)\s*")
ARTICLES: Final = frozenset({"a", "an", "the", "der", "die", "das", "le", "la", "les", "el", "los", "las", "il", "lo"})


class Name(NamedTuple):
    """What a book goes by, as words.

    Attributes:
        title: the main title, without a leading article.
        rest: subtitle, series and what else stands beside the title.
        author: all authors, with `SEPARATOR` between them.
    """

    title: str
    rest: str
    author: str


def words(text: str) -> list[str]:
    """The words of a text: transliterated to ASCII, case folded, without apostrophes and punctuation."""
    if _is_plain(text):
        return text.lower().split()[:MOST_WORDS]
    if not text.isascii():
        # The one space that is nothing to anyascii ends lines, and is what an ellipsis often has become.
        text = anyascii(unicodedata.normalize("NFKC", text.replace("\x85", " ")))
    if "&" not in text and "+" not in text and "#" not in text:
        return text.encode().translate(_SPLITTING, _APOSTROPHE).decode().split()[:MOST_WORDS]
    return _WORD.findall(text.casefold().replace("'", "").replace("&", " and "))[:MOST_WORDS]


def name_of(title: str, subtitle: str | None, authors: Sequence[str]) -> Name:
    """What a book goes by."""
    names = [" ".join(words(author)) for author in authors]
    return Name(*title_of(title, subtitle), SEPARATOR.join([name for name in names if name]))


def title_of(title: str, subtitle: str | None) -> tuple[str, str]:
    """The words of the title of a book, and of what stands beside it; see `Name`."""
    if len(title) < 2 * MOST_WORDS and "  " not in title and _is_plain(title):
        # What most are; cutting it up and putting it together again would take twice as long.
        plain, rest = title.lower().strip(), ""
        first, _, more = plain.partition(" ")
        main = more if more and first in ARTICLES else plain
    else:
        parts, rest = title_parts(title)
        main = " ".join(parts)
    return main, " ".join(without_article(words(f"{rest} {subtitle or ''}"))) if rest or subtitle else ""


def _is_plain(text: str) -> bool:
    """Whether a text is of ASCII letters, digits and spaces alone, as most are."""
    return text.isascii() and text.replace(" ", "").isalnum()


def title_parts(title: str) -> tuple[list[str], str]:
    """The words of the main title without a leading article, and what stands behind it or in brackets.

    Whatever is a title by its letters has a main title: "(Title)" and "The" are one.
    """
    if _is_plain(title) or not _IN_PARTS.search(title):
        return without_article(words(title)), ""
    title = " ".join(title.split())  # a long run of spaces would be looked at anew from each of them
    bare = _IN_BRACKETS.sub("", title)
    main, *behind = _SUBTITLE.split(bare, maxsplit=1)
    found = words(main)
    if not found:
        return words(title), ""
    rest = " ".join([*behind, *_IN_BRACKETS.findall(title)])
    return without_article(found), rest


def without_article(found: list[str]) -> list[str]:
    """Words without the article they begin with, if more follows."""
    return found[1:] if len(found) > 1 and found[0] in ARTICLES else found
