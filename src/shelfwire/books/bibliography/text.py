"""Text in the forms in which it is compared: as words of plain letters, and as a key. Pure.

Words are for finding what is alike: every script becomes ASCII, so that "Отцы и дети" is found by "Otcy i deti". Keys
are for what is the same: scripts other than Latin stay as they are, because their transliterations collide.
"""

import html
import re
import string
import unicodedata
from typing import Final

from anyascii import anyascii

MOST_WORDS: Final = 60
"""Of a title or a name; what follows is not looked at."""
KEY_SEPARATOR: Final = "\x1f"
"""Joins the parts of a key that is made of several texts."""

# A plus and a hash sign tell "C++" and "C#" from "C".
_WORD: Final = re.compile(r"[a-z0-9]+[+#]*")
# Most texts are ASCII without those, and splitting bytes takes a fifth of the time.
_SPLITTING: Final = bytes(
    code if chr(code).isascii() and chr(code).isalnum() else 0x20 for code in bytes(range(256)).lower()
)
_APOSTROPHE: Final = b"'"

# "+" carries meaning in titles ("+1984", "C++"), unlike the rest of ASCII's punctuation.
_NOT_IN_KEYS: Final = string.punctuation.replace("+", "") + string.whitespace
_DROPPED: Final = bytes([*range(ord(KEY_SEPARATOR)), *_NOT_IN_KEYS.encode(), 0x7F])
_LOWER_CASE: Final = bytes(range(128)).lower() + bytes(range(128, 256))
# Latin, Greek and Cyrillic accents go; the marks of Indic and Thai vowels and of Japanese voicing tell words apart.
_DROPPED_BEYOND_ASCII: Final = re.compile(r"[\u0300-\u036f]|[^\w+\x1f\u0900-\u0eff\u3099\u309a]|_")
# Letters that have no decomposition: ø, ł, đ, æ and their like.
_LATIN_BEYOND_ASCII: Final = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff\ua720-\ua7ff]+")

_OTHER_DIGIT: Final = re.compile(r"(?![0-9])\d")
_HAN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_FEW_HAN: Final = 2
_BREAK: Final = re.compile(r"<(?:br\s{0,9}/?|/(?:p|div|li|h[1-6]))>", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]*>|<!--[^<>]*-->")
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def words(text: str) -> list[str]:
    """The words of a text: transliterated to ASCII, case folded, without apostrophes and punctuation."""
    if is_plain(text):
        return text.lower().split()[:MOST_WORDS]
    if not text.isascii():
        # anyascii drops this line end, which is often a broken ellipsis.
        text = anyascii(unicodedata.normalize("NFKC", text.replace("\x85", " ")))
    if "&" not in text and "+" not in text and "#" not in text:
        return text.encode().translate(_SPLITTING, _APOSTROPHE).decode().split()[:MOST_WORDS]
    return _WORD.findall(text.casefold().replace("'", "").replace("&", " and "))[:MOST_WORDS]


def is_plain(text: str) -> bool:
    """Whether a text is of ASCII letters, digits and spaces alone, as most are."""
    return text.isascii() and text.replace(" ", "").isalnum()


def text_key(text: str) -> str:
    """A comparison key: NFKD, case folded, without accents, punctuation and spaces.

    Latin letters become ASCII ("Søren" is "soren"). Text that has nothing but punctuation is its own key, so that "???"
    and "!!!" differ.
    """
    if text.isascii():
        # Bytes are translated three times as fast as text.
        return text.encode().translate(_LOWER_CASE, _DROPPED).decode() or text.strip()
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = _DROPPED_BEYOND_ASCII.sub("", folded)
    if not bare.isascii():
        bare = _LATIN_BEYOND_ASCII.sub(lambda letters: anyascii(letters[0]).lower(), bare)
    return bare or folded.strip()


def ascii_digits(text: str) -> str:
    """A text with the digits of every script as ASCII ones: Arabic, Persian, Devanagari, full-width and others."""
    if text.isascii() or not _OTHER_DIGIT.search(text):
        return text
    return _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


def only_sound_alike(one: str, other: str) -> bool:
    """Whether two texts, one of them of one or two Chinese characters, share none of these, as 北京 and 背景.

    Longer ones that sound alike are the same, in simplified or in traditional characters.
    """
    if one.isascii() or other.isascii():
        return False
    here, there = set(_HAN.findall(one)), set(_HAN.findall(other))
    return bool(here and there) and min(len(here), len(there)) <= _FEW_HAN and here.isdisjoint(there)


def plain_text(text: str) -> str:
    """A text without HTML: line breaks and paragraphs become lines, other tags go."""
    if "<" in text:
        text = _TAG.sub("", _BREAK.sub("\n", text))
        text = _BLANK_LINES.sub("\n\n", text)
    text = text.replace("[return]", "\n")  # LibraryThing's
    return html.unescape(text).strip() if "&" in text else text.strip()
