"""Bytes to text: which encoding a file has, and whether it is text at all."""

import codecs
import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from charset_normalizer import from_bytes

from shelfwire.books.csv_import.aliases import CODES
from shelfwire.books.csv_import.problems import UnreadableCsv
from shelfwire.books.csv_import.vocabulary import spelt

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What spreadsheet programs write when they do not write UTF-8. Unrestricted, the detector takes Latin-1 for cp775.
_LEGACY = [
    "cp1252", "cp1251", "cp1253", "cp1255", "cp1256", "cp932", "gb18030", "euc_kr", "big5", "euc_jp", "mac_roman",
]  # fmt: skip
_LATIN = ("cp1252", "mac_roman")
_ALPHABETS = {
    "cp1252": (
        "äöüß", "àâæçèéêëîïôœùûüÿ", "áéíñóúü¿¡ªº", "àáâãçéêíóôõúüªº", "àèéìíîòóùú", "àçèéíïòóúü", "åäöéü", "æøåé",
        "áðéíóúýþæö", "ëïéèöüáóê", "äõöüšž",
    ),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "iso8859_2": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "cp1254": ("çğıöşüâî",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž"),
}  # fmt: skip
"""By encoding, the letters beyond ASCII of each language that it is used for: German, French, Spanish, Portuguese,
Italian, Catalan, Swedish, Danish, Icelandic, Dutch and Estonian; Polish, Czech, Slovak, Hungarian, Romanian and
Croatian, in two encodings; Turkish; Lithuanian and Latvian."""
_WORDED = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1251", "cp1253", "iso8859_7", "koi8_r", "cp1255", "cp1256")
"""Encodings in which names of columns and states are looked for."""
_ODD = re.compile("[^\\W\\d_][\xa1\xa3\xa5\xa6\xb1\xb3\xb6\xb9\xbc-\xbf]|[\xd0\xdd\xde\xf0\xfd\xfe\ufffd]")
_WITHIN_WORDS = re.compile(r"(?<=[a-z])[^\x00-\x7f](?=[a-z])")
_BETWEEN_WORDS = re.compile(r'[,;|\t\n"]+')
_UNSURE = (
    'The file is not UTF-8 and does not say its encoding; it was read as {encoding}, which makes "{example}" of it. '
    "If letters are wrong there, save the list as UTF-8, and import that file."
)
_MANGLED = re.compile("[\xc2\xc3][\x80-\xbf\u0152-\u0192\u02c6\u02dc\u2013-\u2122]|\xe2\u20ac")
_MANGLED_SIGNS = ("\xc2", "\xc3", "\xe2\u20ac")
MANGLED = (
    "The letters of this file were damaged by an earlier program, which wrote two for one, as \xc3\xa9 for \xe9. They "
    "were put right; look at them."
)
_HIGH_WORD = re.compile(r"\w*[^\x00-\x7f]\w*(?: \w+)?")
_MOST_SHOWN = 40
_SIGNS = re.compile(r"[\x00-\x7f\xa0\xad‘’‚“”„‹›«»–—…•·°§©®™€£\u0307]+")  # noqa: RUF001 - the same in all three
_MOSTLY = 0.9
_ENOUGH_LETTERS = 3
_MANY_LETTERS = 40
_FOREIGN_RUN = re.compile(r"[a-zA-Z]?[^\W\d_a-zA-Z]+[a-zA-Z]?")
_TOUCHES_LATIN = re.compile(r"[a-zA-Z]")
_SAMPLE_BYTES = 16_384
_PIECE_BYTES = 1_048_576
_HIGH = re.compile(rb"[\x80-\xff]")
# No multi-byte encoding above uses these as the second half of a character.
_SAFE_CUT = re.compile(rb"[\n\t ,;\"]")

_SAVE_AS_CSV = "Save it as CSV in your spreadsheet program and import that file."
_EXPORT_AGAIN = "Export your books as CSV and import that file."
_UNZIP = "Unpack it and import the CSV file inside."
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", f"This is a PNG picture, not a CSV file. {_EXPORT_AGAIN}"),
    (b"\xff\xd8\xff", f"This is a JPEG picture, not a CSV file. {_EXPORT_AGAIN}"),
    (b"GIF8", f"This is a GIF picture, not a CSV file. {_EXPORT_AGAIN}"),
    (b"%PDF-", f"This is a PDF document, not a CSV file. {_EXPORT_AGAIN}"),
    (b"\x1f\x8b", f"This is a gzip archive, not a CSV file. {_UNZIP}"),
    (b"BZh", f"This is a bzip2 archive, not a CSV file. {_UNZIP}"),
    (b"\xfd7zXZ\x00", f"This is an xz archive, not a CSV file. {_UNZIP}"),
    (b"7z\xbc\xaf\x27\x1c", f"This is a 7z archive, not a CSV file. {_UNZIP}"),
    (b"Rar!\x1a\x07", f"This is a RAR archive, not a CSV file. {_UNZIP}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"This is an old Excel or Office file, not a CSV file. {_SAVE_AS_CSV}"),
    (b"SQLite format 3\x00", f"This is a database, not a CSV file. {_EXPORT_AGAIN}"),
    (b"{\\rtf", f"This is a word processor document, not a CSV file. {_SAVE_AS_CSV}"),
)
_ZIP_MAGIC = b"PK\x03\x04"
_ZIP_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"xl/", f"This is an Excel workbook, not a CSV file. {_SAVE_AS_CSV}"),
    (b"opendocument.spreadsheet", f"This is an OpenDocument spreadsheet, not a CSV file. {_SAVE_AS_CSV}"),
    (b"Index/", f"This is a Numbers spreadsheet, not a CSV file. {_SAVE_AS_CSV}"),
    (b"application/epub+zip", f"This is an e-book, not a CSV file. {_EXPORT_AGAIN}"),
    (b"word/", f"This is a Word document, not a CSV file. {_SAVE_AS_CSV}"),
)
_MARKUP = re.compile(r"\s*<(?:!doctype html|html|\?xml)\b", re.IGNORECASE)
_JSON = re.compile(r'\s*(?:\{\s*"|\[\s*\{)')
_BINARY = f"This is not a text file. {_EXPORT_AGAIN}"
_CONTROL_CHARACTERS = dict.fromkeys({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1a"})
_MAX_CONTROL_CHARACTERS = 0.02
_MAX_DAMAGE = 0.001


class Decoded(NamedTuple):
    """A file as text: without byte order mark and NULs, its lines ended by a line feed alone."""

    text: str
    encoding: str


def decode(data: bytes) -> Decoded:
    """Decode a CSV file of unknown encoding.

    In this order: byte order mark, UTF-16 by its pattern of NULs, strict UTF-8, the letters of a language of Central
    Europe or Turkey, the best guess among the encodings that spreadsheet programs write, cp1252. A file that is UTF-8
    but for a few damaged bytes is UTF-8.

    Raises:
        UnreadableCsv: The file is binary, a web page or JSON; the message says what to do.
    """
    _reject_binary(data)
    text, encoding = _decode_marked(data) or _decode_utf16(data) or _decode_unmarked(data)
    text = text.replace("\0", "").lstrip("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    _reject_other_text(text)
    return Decoded(text, encoding)


def unmangled(text: str) -> str | None:
    """A text whose letters a program has read as Windows-1252 and written as UTF-8, put right; None if it is none."""
    # Plain searches first: the expression takes a tenth of a second for a large list.
    if not any(sign in text for sign in _MANGLED_SIGNS) or not _MANGLED.search(text):
        return None
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return None


def _reject_binary(data: bytes) -> None:
    for magic, message in _MAGIC:
        if data.startswith(magic):
            raise UnreadableCsv(message)
    if data.startswith(_ZIP_MAGIC):
        head = data[:_SAMPLE_BYTES]
        raise UnreadableCsv(
            next(
                (message for name, message in _ZIP_KINDS if name in head),
                f"This is a ZIP archive, not a CSV file. {_UNZIP}",
            )
        )
    if data[4:8] == b"ftyp" or (data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b"WAVE", b"AVI ")):
        raise UnreadableCsv(f"This is a photo, film or sound recording, not a CSV file. {_EXPORT_AGAIN}")


def _reject_other_text(text: str) -> None:
    head = text[:_SAMPLE_BYTES]
    if _MARKUP.match(head):
        raise UnreadableCsv(f"This is a web page, not a CSV file. {_EXPORT_AGAIN}")
    if head.lstrip('\ufeff \n"').startswith("Your Kindle Notes For"):
        raise UnreadableCsv("These are the notes and highlights of one book, not a list of books.")
    if _JSON.match(head):
        raise UnreadableCsv(f"This is a JSON file, not a CSV file. {_EXPORT_AGAIN}")
    controls = len(head) - len(head.translate(_CONTROL_CHARACTERS))
    if controls > 4 + len(head) * _MAX_CONTROL_CHARACTERS:
        raise UnreadableCsv(_BINARY)


def _decode_marked(data: bytes) -> Decoded | None:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            # An upload may have been cut within a character; the rest of the list is still good.
            return Decoded(data.decode(encoding, "replace"), encoding)
    return None


def _decode_utf16(data: bytes) -> Decoded | None:
    head = data[:_SAMPLE_BYTES]
    half = len(head) // 2
    if not half:
        return None
    high_first, low_first = head[0::2].count(0) / half, head[1::2].count(0) / half
    for encoding, zeros, other in (("utf-16-le", low_first, high_first), ("utf-16-be", high_first, low_first)):
        # Latin text is half NULs; East Asian text has them only in its delimiters and line ends, and then
        # its other bytes make no valid UTF-8, unlike stray NULs in an ordinary file.
        mostly_latin = zeros > 0.25 and other < zeros / 4  # noqa: PLR2004 - shares, explained above
        if mostly_latin or (zeros > 0.02 and not other and not _is_utf8(head)):  # noqa: PLR2004 - as above
            return Decoded(data.decode(encoding, "replace"), encoding)
    return None


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _decode_unmarked(data: bytes) -> Decoded:
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        pass
    sample = _sample(data)
    if _is_damaged_utf8(sample):
        return Decoded(_in_pieces(data, "utf-8"), "utf-8")
    if encoding := _of_words(data[:_SAMPLE_BYTES]):
        return Decoded(_in_pieces(data, encoding), encoding)
    if encoding := _of_alphabet(sample):
        return Decoded(_in_pieces(data, encoding), encoding)
    for guess in from_bytes(sample, cp_isolation=_LEGACY, preemptive_behaviour=False):
        if guess.encoding not in _LATIN and _is_latin_script(str(guess)):
            continue
        if guess.encoding == "mac_roman" and _is_rather_cp1252(sample):
            break
        text = _in_pieces(data, guess.encoding)
        if text.count("\ufffd") <= len(text) * _MAX_DAMAGE:
            return Decoded(text, guess.encoding)
    return Decoded(_in_pieces(data, "cp1252"), "cp1252")


def _of_words(sample: bytes) -> str | None:
    """The encoding that makes most names of columns, or states of books, of a sample; None if several do otherwise."""
    scores = {encoding: len(_known_words() & _cells(sample, encoding)) for encoding in _WORDED}
    most = max(scores.values())
    best = [encoding for encoding, score in scores.items() if score == most]
    texts = {sample.decode(encoding, "replace") for encoding in best}
    return best[0] if most and len(texts) == 1 else None


def _cells(sample: bytes, encoding: str) -> set[str]:
    cells = _BETWEEN_WORDS.split(sample.decode(encoding, "replace").lower())
    return {bare for cell in cells if not (bare := cell.strip()).isascii()}


@lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    """Names of columns and states that have letters beyond ASCII."""
    files = (*(f"columns/{code}" for code in CODES), "reading_states")
    return frozenset(word for name in files for word in spelt(name) if not word.isascii())


def doubt_of_encoding(data: bytes, encoding: str) -> str | None:
    """What a person should know of an encoding that is guessed by letters, unless they are many, or of one language.

    Args:
        data: the file.
        encoding: as `decode` found it.
    """
    if encoding.startswith("utf") or _of_words(data[:_SAMPLE_BYTES]):
        return None
    sample = _sample(data)
    letters = _letters(sample, encoding)
    alphabets = _ALPHABETS.get(encoding, ())
    if encoding not in _LATIN and not alphabets and letters.total() >= _MANY_LETTERS:
        return None
    if len(letters) >= _ENOUGH_LETTERS and any(_share(letters, alphabet) >= _MOSTLY for alphabet in alphabets):
        return None
    text = sample.decode(encoding, "replace")
    found = _HIGH_WORD.search(text)
    return _UNSURE.format(encoding=encoding, example=(found[0] if found else text)[:_MOST_SHOWN].strip())


def _in_pieces(data: bytes, encoding: str) -> str:
    # One call over ten megabytes of an East Asian encoding would hold the interpreter for a tenth of a second.
    pieces = (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))
    return "".join(codecs.iterdecode(pieces, encoding, "replace"))


def _is_damaged_utf8(sample: bytes) -> bool:
    damaged = sample.decode("utf-8", "replace").count("\ufffd")
    high = len(_HIGH.findall(sample))
    return high > 16 * damaged  # the other encodings hardly ever form one valid sequence, let alone eight in a row


def _of_alphabet(sample: bytes) -> str | None:
    """The encoding that makes a sample's letters those of one language of Central Europe, the Baltic or Turkey.

    The detector cannot tell them from cp1252: where cp1250 has "č", "ř" and "ő", cp1252 has "è", "ø" and "õ". A few of
    these may be of foreign names in a list of the West, so that there must be several different ones, unless cp1252
    makes signs within words of them, or letters of Icelandic in another language.
    """
    least = max(_share(_letters(sample, "cp1252"), alphabet) for alphabet in _ALPHABETS["cp1252"])
    is_odd = least < _MOSTLY and _ODD.search(sample.decode("cp1252", "replace")) is not None
    for encoding in ("cp1250", "iso8859_2", "cp1254", "cp1257"):
        letters = _letters(sample, encoding)
        if any(map(str.isupper, _WITHIN_WORDS.findall(sample.decode(encoding, "replace")))):
            continue  # "Wied\u013dmin" is no word
        for alphabet in _ALPHABETS[encoding]:
            own = {letter for letter in alphabet if letter.encode(encoding).decode("cp1252", "replace") != letter}
            few = 1 if is_odd else min(_ENOUGH_LETTERS, len(own))
            enough = len(own & letters.keys()) >= few
            if enough and _share(letters, alphabet) >= _MOSTLY and _share(letters, alphabet) > least:
                return encoding
    return None


def _is_rather_cp1252(sample: bytes) -> bool:
    """Whether cp1252 makes letters of one language of a sample, of which mac_roman makes fewer.

    Where there is but "März", the detector prefers "M‰rz".
    """
    best = {
        encoding: max(_share(_all_letters(sample, encoding), alphabet) for alphabet in _ALPHABETS["cp1252"])
        for encoding in _LATIN
    }
    return best["cp1252"] >= _MOSTLY and best["cp1252"] > best["mac_roman"]


def _letters(sample: bytes, encoding: str) -> Counter[str]:
    """How often a sample has each letter beyond ASCII, in lower case."""
    return Counter(_SIGNS.sub("", sample.decode(encoding, "replace").lower()))


def _all_letters(sample: bytes, encoding: str) -> Counter[str]:
    """The same with signs inside of words, which tell that the encoding is another one."""
    return Counter(_WITHIN_WORDS.findall(sample.decode(encoding, "replace").lower()))


def _share(letters: Counter[str], alphabet: str) -> float:
    return sum(letters[letter] for letter in alphabet) / (letters.total() or 1)


def _is_latin_script(text: str) -> bool:
    """Whether letters of another script mostly stand within Latin words: "Cafй" is no Russian."""
    runs = _FOREIGN_RUN.findall(text)
    return sum(_TOUCHES_LATIN.search(run) is not None for run in runs) * 2 > len(runs)


def _sample(data: bytes) -> bytes:
    """Lines with bytes beyond ASCII, at most `_SAMPLE_BYTES` of them and cut where no character is split."""
    parts: list[bytes] = []
    left = _SAMPLE_BYTES
    position = 0
    while left > 0 and (high := _HIGH.search(data, position)):
        start = max(data.rfind(b"\n", position, high.start()) + 1, high.start() - 256, position)
        stop = _line_end(data, high.start())
        if stop - start > left:
            if parts:
                break
            stop = start + left
        if stop < len(data) and data[stop] != 0x0A:  # noqa: PLR2004 - the line feed
            stop = _last_safe_cut(data, high.start(), stop)
        if start > position and data[start - 1] != 0x0A:  # noqa: PLR2004 - as above
            safe = _SAFE_CUT.search(data, start, high.start())
            start = safe.start() if safe else start
        parts.append(data[start:stop])
        left -= stop - start + 1
        position = stop
    return b"\n".join(parts)


def _line_end(data: bytes, start: int) -> int:
    stop = data.find(b"\n", start)
    return len(data) if stop < 0 else stop


def _last_safe_cut(data: bytes, start: int, stop: int) -> int:
    cuts = [data.rfind(cut, start, stop) for cut in (b",", b";", b"\t", b" ", b'"')]
    return max([cut for cut in cuts if cut > start], default=stop)
