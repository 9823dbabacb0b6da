"""The text on a spine, compared with a book: title and author must each be found in a part of their own. Pure.

Engines misread letters, drop spaces, and give lines in any order; a spine says more than title and author. So a title
is looked for in every run of words about as long as itself, the author in what is left, and what is then still
unexplained counts against the book: DUNE is not the title where the spine says DUNE MESSIAH.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from rapidfuzz import fuzz

from shelfwire.books.bibliography.matching import letters_alike
from shelfwire.books.bibliography.text import words
from shelfwire.books.bibliography.titles import NAME_SEPARATOR, BookName, compared, is_numbering, numbers_agree
from shelfwire.books.catalogue.hits import score

MOST_SPINE_WORDS: Final = 40

_SMALL: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "of",
        "on",
        "or",
        "the",
        "to",
        "with",
        "der",
        "die",
        "das",
        "und",
        "von",
        "le",
        "la",
        "les",
        "et",
        "de",
        "du",
        "des",
        "el",
        "los",
        "il",
        "lo",
        "y",
    ]
)
"""Words that make no title another one."""
BESIDE: Final = _SMALL | frozenset(
    word
    for line in (
        "novel roman stories tales edition edited translated introduction author bestseller bestselling",
        "international winner prize book books press publishing publishers verlag editions editorial classic",
        "classics library series paperback penguin puffin vintage oxford cambridge university world worlds modern",
        "random house knopf everyman signet bantam dover harper collins harpercollins perennial faber picador pan",
        "macmillan simon schuster scribner doubleday anchor viking hachette orbit tor gollancz hodder stoughton",
        "bloomsbury norton mariner houghton mifflin harcourt wordsworth corgi arrow abacus virago canongate",
        "granta fontana ace del rey ballantine berkley pocket avon dell plume riverhead fischer suhrkamp rowohlt",
        "reclam dtv insel goldmann heyne ullstein piper diogenes hanser gallimard folio flammarion phaidon nel",
        "yearling newbery medal scholastic",
    )
    for word in line.split()
)
"""Words that stand on spines beside title and author, and change neither."""
_LEAST_SPAN: Final = 0.6
_MOST_SPAN: Final = 1.5
_RUN_TOGETHER: Final = 5
_LEFT_FREE: Final = 0.5
"""Letters that may be unexplained on other lines, as a share of the title's letters, before the title is doubted."""
_SHORTEST_LEFT: Final = 2
_UNNAMED: Final = 0.5
_WITHOUT_AUTHOR: Final = 0.8
_SURNAME_ALONE: Final = 0.86
_OTHER_GIVEN_NAME: Final = 0.6
_SHORT_SURNAME: Final = 4
_ALIKE: Final = 80
_OTHER_NUMBER: Final = 0.7


class Span(NamedTuple):
    """A run of words on a spine, and its likeness to the text that was looked for."""

    start: int
    stop: int
    likeness: float


class SpineText:
    """The words of a spine.

    Args:
        lines: the text, line by line.

    Attributes:
        words: all of them, in the order of the lines.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        found = [words(line) for line in lines]
        forward, backward = _Order(found), _Order(found[::-1])
        self.words = forward.words
        # Lines of a spine that was read from below come last line first.
        self._orders = [forward] if forward.words == backward.words else [forward, backward]

    def score(self, book: BookName, publisher: str = "") -> float:
        """How well a book explains what the spine says; see `CatalogueHit.score`."""
        if not book.title:
            return 0.0
        beside = frozenset(words(publisher))
        return max(_score(order, book, beside) for order in self._orders)


class _Order:
    """The words of a spine in the order of its lines, or against it, and which line each is on."""

    def __init__(self, lines: Sequence[Sequence[str]]) -> None:
        placed = [(word, number) for number, line in enumerate(lines) for word in line][:MOST_SPINE_WORDS]
        self.words = [word for word, _ in placed]
        self.lines = [number for _, number in placed]


def _score(order: _Order, book: BookName, beside: Collection[str]) -> float:
    best, known = 0.0, compared(book.title, book.rest)
    for span in _spans(order.words, book.title):
        author, said = _author(order.words[: span.start], order.words[span.stop :], book.author)
        near, far = _unexplained(order, span, {*said, *beside}, book)
        letters = len(book.title.replace(" ", ""))
        left = near + (far if far > max(1.0, _LEFT_FREE * letters) else 0)
        title = span.likeness * letters / (letters + left)
        if not numbers_agree(compared(_with_number(order.words, span)), known):
            title *= _OTHER_NUMBER
        best = max(best, score(title, author))
        if author < _UNNAMED:
            best = max(best, _WITHOUT_AUTHOR * score(title, None))
    return best


def _with_number(order: Sequence[str], span: Span) -> str:
    """A run of words, with the number of a volume before or behind it."""
    start, stop = span.start, span.stop
    while start > 0 and is_numbering(order[start - 1]):
        start -= 1
    while stop < len(order) and is_numbering(order[stop]):
        stop += 1
    return " ".join(order[start:stop])


def _spans(order: Sequence[str], title: str) -> Iterator[Span]:
    """The few runs of words that are most like a title."""
    bare = title.replace(" ", "")
    found = [Span(start, stop, _likeness(bare, joined)) for start, stop, joined in _runs(order, len(bare))]
    found.sort(key=lambda span: -span.likeness)
    best = found[:2]
    # A whole spine read as one word.
    for index, word in enumerate(order):
        if len(bare) >= _RUN_TOGETHER and len(word) > _MOST_SPAN * len(bare):
            inside = fuzz.partial_ratio(bare, word) / 100
            if inside > max((span.likeness for span in best), default=0):
                yield Span(index, index, inside)
    yield from best


def _likeness(title: str, said: str) -> float:
    """How much a run of words is like a title, which has no article where the spine may have a misread one."""
    likeness = letters_alike(title, said)
    return max(likeness, letters_alike(f"the{title}", said)) if said.startswith("th") else likeness


def _runs(order: Sequence[str], length: int) -> Iterator[tuple[int, int, str]]:
    """All runs of words that have about this number of letters."""
    for start in range(len(order)):
        joined = ""
        for stop in range(start + 1, len(order) + 1):
            joined += order[stop - 1]
            if len(joined) > _MOST_SPAN * length + 1:
                break
            if len(joined) >= _LEAST_SPAN * length:
                yield start, stop, joined


def _author(before: Sequence[str], after: Sequence[str], authors: str) -> tuple[float, set[str]]:
    """How sure it is that one of the authors is named before or after the title, and the words that name them."""
    best: tuple[float, set[str]] = (0.0, set())
    for author in filter(None, authors.split(NAME_SEPARATOR)):
        for side in (before, after):
            best = max(best, _person(side, author), key=lambda one: one[0])
    return best


def _person(side: Sequence[str], author: str) -> tuple[float, set[str]]:
    names = author.split()
    bare, surname = "".join(names), names[-1]
    best: tuple[float, set[str]] = (0.0, set())
    for start, stop, joined in _runs(side, len(bare)):
        likeness = max(fuzz.ratio(bare, joined), fuzz.ratio(surname + "".join(names[:-1]), joined)) / 100
        if likeness > best[0]:
            best = (likeness, set(side[start:stop]))
    for index, word in enumerate(side):
        exact = word == surname
        if exact or (len(surname) > _SHORT_SURNAME and fuzz.ratio(word, surname) >= _ALIKE):
            likeness, said = _by_surname(side, index, names)
        elif len(bare) > _SHORT_SURNAME + 2 and len(word) > len(bare) and fuzz.partial_ratio(bare, word) > _ALIKE:
            likeness, said = fuzz.partial_ratio(bare, word) / 100, {word}
        else:
            continue
        if likeness > best[0]:
            best = (likeness, said)
    return best


def _by_surname(side: Sequence[str], index: int, names: Sequence[str]) -> tuple[float, set[str]]:
    """Likeness of a person whose surname is at an index: the word before must not be somebody else's given name."""
    surname = fuzz.ratio(side[index], names[-1]) / 100
    given = names[:-1]
    near = [word for word in side[max(0, index - len(given)) : index] if word not in BESIDE]
    agreeing = {word for word in near if any(_given_agrees(word, name) for name in given)}
    if agreeing:
        return surname, {side[index], *agreeing}
    if not given or not near:
        sure = len(names[-1]) >= _SHORT_SURNAME or not given
        return surname * (_SURNAME_ALONE if sure else _OTHER_GIVEN_NAME), {side[index]}
    return surname * _OTHER_GIVEN_NAME, {side[index]}


def _given_agrees(said: str, name: str) -> bool:
    if 1 in (len(said), len(name)):
        return said[0] == name[0]
    return fuzz.ratio(said, name) >= _ALIKE


def _unexplained(order: _Order, span: Span, said: Collection[str], book: BookName) -> tuple[int, int]:
    """How many letters neither title nor author nor a publisher explain: on the lines of the title, and on others.

    On the lines of the title all but small words count: HOUSE is a publisher's word, but not in THE RUSSIA HOUSE.
    """
    explained = {*said, *book.rest.split(), *book.author.replace(NAME_SEPARATOR, " ").split(), *book.title.split()}
    beside = order.lines[span.start : span.stop]
    near = far = 0
    for index, (word, line) in enumerate(zip(order.words, order.lines, strict=True)):
        if span.start <= index < span.stop or len(word) < _SHORTEST_LEFT or word in explained or word.isdecimal():
            continue
        if line in beside and word not in _SMALL:
            near += len(word)
        elif line not in beside and word not in BESIDE:
            far += len(word)
    return near, far
