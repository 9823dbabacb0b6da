import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

from shelfwire.books.ai_scan.reader.engine import Word
from shelfwire.books.ai_scan.reader.splitting import (
    Piece,
    is_name,
    is_noise,
    listed,
    names_of,
    spaced,
    split,
    split_line,
)
from shelfwire.books.bibliography.publishers import is_publisher


def piece(text: str, left: float = 0, height: float = 40, *, crossing: bool = False) -> Piece:
    return Piece(text, left, left + height * len(text) / 2, 0, height, height, 0.98, crossing)


def words_of(text: str, gaps: dict[int, float] | None = None) -> list[Word]:
    """Words as wide as they are long, with a gap of one letter before each, or another before the word of an index."""
    words, at = [], 0.0
    for index, word in enumerate(text.split()):
        at += (gaps or {}).get(index, 1.0) if index else 0.0
        words.append((word, at, at + len(word)))
        at += len(word)
    return [Word(word, start / at, end / at) for word, start, end in words]


def parted(text: str, gaps: dict[int, float] | None = None) -> list[str]:
    return [found.text for found in split_line(piece(text), words_of(text, gaps))]


@pytest.mark.parametrize(
    "text",
    [
        "Nicholas Carr",
        "J.R.R. Tolkien",
        "GEORGE R.R. MARTIN",
        "Bessel van der Kolk, M.D.",
        "aldous huxley",
        "STRUNK / WHITE / KALMAN",
        "ROBERTLOUIS STEVENSON",
        "Gelman, Carlin, Stern",
    ],
)
def test_names_look_like_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["The Shallows", "War and Peace", "12 Rules", "How Design Makes the World", "FACE"])
def test_titles_do_not_look_like_names(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize(
    "text", ["PENGUIN BOOKS", "Random House", "O'REILLY", "ST. MARTIN'S PRESS", "houghton miflin", "BASIC BOOKS"]
)
def test_publishers_are_known_even_misread(text: str) -> None:
    assert is_publisher(text)


@pytest.mark.parametrize("text", ["Basic Economics", "The Penguin Lessons", "Dune", "Robust Python"])
def test_titles_are_no_publishers(text: str) -> None:
    assert not is_publisher(text)


@pytest.mark.parametrize(
    "text", ["SECOND EDITION", "#1 New York Times Bestseller", "ISBN 0 14 00.2084 5", "20th", "899"]
)
def test_editions_praise_and_numbers_are_noise(text: str) -> None:
    assert is_noise(text)


def test_the_small_words_of_a_title_are_no_noise() -> None:
    assert not is_noise("AND THE")


def test_the_name_is_the_author_whichever_comes_first() -> None:
    title, name = piece("THE SHALLOWS", height=60), piece("Nicholas Carr", left=500)
    assert split([title, name]) == ("THE SHALLOWS", ("Nicholas Carr",))
    assert split([name, title]) == ("THE SHALLOWS", ("Nicholas Carr",))


def test_an_unknown_single_name_beside_a_longer_title_is_the_author() -> None:
    assert split([piece("TOLKIEN", height=44), piece("THE TWO TOWERS", left=400)]) == ("THE TWO TOWERS", ("TOLKIEN",))


def test_of_two_single_words_the_larger_one_is_the_title() -> None:
    assert split([piece("MIDDLEMARCH", height=50), piece("ELIOT", left=600)]) == ("MIDDLEMARCH", ("ELIOT",))


def test_publishers_and_editions_are_dropped() -> None:
    pieces = [piece("REFACTORING", height=60), piece("SECOND EDITION", left=500), piece("Addison Wesley", left=900)]
    assert split(pieces) == ("REFACTORING", ())


def test_a_spine_of_a_publisher_alone_says_nothing() -> None:
    assert split([piece("PENGUIN")]) == ("", ())


def test_smaller_words_between_large_ones_belong_to_the_title() -> None:
    pieces = [
        piece("ME", 0, 100),
        piece("AND", 110, 40),
        piece("EARL", 180, 100),
        piece("AND THE DYING", 390, 40),
        piece("GIRL", 660, 100),
        piece("ANDREWS", 1200, 50),
    ]
    assert split(pieces) == ("ME AND EARL AND THE DYING GIRL", ("ANDREWS",))


def test_a_subtitle_in_small_letters_is_no_part_of_the_title() -> None:
    pieces = [piece("Misbehaving", height=80), piece("The Making of Behavioral Economics", 500, 30)]
    assert split(pieces)[0] == "Misbehaving"


def test_a_list_of_names_across_the_spine_is_its_authors() -> None:
    names = piece(listed("GRAY STIEFEL VALENTINE"), height=20, crossing=True)
    title, authors = split([piece("Biological Inorganic Chemistry", height=60), names])
    assert (title, authors) == ("Biological Inorganic Chemistry", ("GRAY", "STIEFEL", "VALENTINE"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("GERALD DURRELL A ZOO IN MY LUGGAGE", ["GERALD DURRELL", "A ZOO IN MY LUGGAGE"]),
        ("GRIT ANGELA DUCKWORTH", ["GRIT", "ANGELA DUCKWORTH"]),
        ("DEEP WORK Cal Newport", ["DEEP WORK", "Cal Newport"]),
        ("Where the Red Fern Grows", ["Where the Red Fern Grows"]),
        ("The Tenant of Wildfell Hall", ["The Tenant of Wildfell Hall"]),
        ("HARRY POTTER: A JOURNEY", ["HARRY POTTER: A JOURNEY"]),
        ("SOUS VIDE for EVERYBODY", ["SOUS VIDE for EVERYBODY"]),
    ],
)
def test_a_line_is_parted_where_a_name_meets_a_title(text: str, parts: list[str]) -> None:
    assert parted(text) == parts


def test_a_wide_gap_parts_an_unknown_name_from_a_title() -> None:
    text = "Twain A Connecticut Yankee"
    assert parted(text, {1: 3.0}) == ["Twain", "A Connecticut Yankee"]
    assert parted(text) == [text]


def test_the_parts_of_a_line_know_where_they_are() -> None:
    line = piece("GRIT ANGELA DUCKWORTH")
    title, name = split_line(line, words_of(line.text))
    assert line.left <= title.left < title.right < name.left < name.right <= line.right


def test_letters_set_wide_are_still_one_word() -> None:
    seen = [Word("AR", 0, 0.2), Word("M", 0.3, 0.5), Word("ADA", 0.6, 1)]
    assert spaced("ARMADA", seen) == ("ARMADA", [Word("ARMADA", 0, 1)])


def test_a_name_read_as_one_word_is_parted_where_its_letters_are() -> None:
    seen = [Word("MARK", 0, 0.3), Word("LAW", 0.4, 0.6), Word("RENCE", 0.6, 1)]
    text, words = spaced("MARKLAWRENCE", seen)
    assert text == "MARK LAWRENCE"
    assert [word.text for word in words] == ["MARK", "LAWRENCE"]


def test_several_authors_are_named_one_by_one() -> None:
    assert names_of("Milton and Rose Friedman") == ("Milton", "Rose Friedman")
    assert names_of("by Fisher, Ury and Patton") == ("Fisher", "Ury", "Patton")
    assert names_of("Bessel van der Kolk, M.D.") == ("Bessel van der Kolk",)
