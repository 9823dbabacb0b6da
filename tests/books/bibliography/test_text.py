# ruff: noqa: RUF001 - look-alike characters are what these tests are about
import string
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shelfwire.books.bibliography import text as texts
from shelfwire.books.bibliography import titles
from shelfwire.books.bibliography.text import only_sound_alike, text_key, words
from shelfwire.books.bibliography.titles import name_of, title_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane Austen", "JANEAUSTEN"),
        ("Les Misérables", "les miserables"),
        ("Søren Kierkegaard", "Soren Kierkegaard"),
        ("Stanisław Łem", "Stanislaw Lem"),
        ("Straße", "STRASSE"),
        ("J.K. Rowling", "J. K. Rowling"),
        ("L’étranger", "L'Etranger"),
        ("ＤＵＮＥ", "Dune"),
    ],
)
def test_spellings_of_the_same_name_share_a_key(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1984", "+1984"), ("C", "C++"), ("???", "!!!"), ("かき", "がき"), ("心", "新"), ("…", "!")],
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)


@given(st.text(min_size=1).filter(str.strip))
def test_a_key_is_never_empty_and_is_its_own_key(text: str) -> None:
    key = text_key(text)
    assert key
    assert text_key(key) == text_key(text_key(key))


def test_a_sharp_sign_is_part_of_a_title_and_no_number() -> None:
    assert len({title_key(title) for title in ("C in a Nutshell", "C# in a Nutshell", "C++ in a Nutshell")}) == 3
    assert title_key("Dune (Dune, #1)") == title_key("Dune (Dune 1)")


def test_only_short_words_of_chinese_are_compared_by_their_characters() -> None:
    assert only_sound_alike("北京", "背景")
    for other in ("北京", "Beijing", "北平"):
        assert not only_sound_alike("北京", other)
    assert not only_sound_alike("红楼梦", "紅樓夢")


TITLES = st.text(st.characters(codec="utf-8"), max_size=60)


@given(TITLES)
@example("İstanbul")
@example("ß ﬀ Å")
@example("C++ & C#")
def test_words_are_plain_and_made_of_words_stay_as_they_are(text: str) -> None:
    found = words(text)
    assert all(set(word) <= set(string.ascii_lowercase + string.digits + "+#") for word in found)
    assert words(" ".join(found)) == found


def test_whatever_is_a_space_parts_words() -> None:
    spaces = filter(str.isspace, map(chr, range(sys.maxunicode)))
    assert {tuple(words(f"Où{space}est{space}Emma")) for space in spaces} == {("ou", "est", "emma")}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_the_fast_way_over_ascii_is_the_slow_way(text: str) -> None:
    slow = texts._WORD.findall(text.casefold().replace("'", "").replace("&", " and "))[: texts.MOST_WORDS]
    assert words(text) == slow


@given(
    st.lists(st.text(string.ascii_lowercase + "éøß", min_size=4, max_size=9), min_size=1, max_size=5),
    st.sampled_from(["{}", " {} ", "The {}", "{}.", "“{}”", "{}: a novel", "{} (Series, #2)"]),
)
def test_a_title_has_the_same_letters_however_it_is_dressed(title: list[str], dress: str) -> None:
    plain, joined = name_of(" ".join(title), None, ["A B"]), name_of("".join(title).upper(), "more", ["a  b"])
    dressed = name_of(dress.format(" ".join(title)), None, ["A B"])
    assert len({(name.title.replace(" ", ""), name.author) for name in (dressed, plain, joined)}) == 1


@given(st.from_regex(r"(?:(?:a|an|the|[A-Za-z0-9]{0,9}) {0,2}){1,70}", fullmatch=True))
@example("The")
@example(" the  A ")
@example("a " * 70)
def test_the_fast_way_over_plain_titles_is_the_slow_way(title: str) -> None:
    slow = titles.without_article(texts.words(title))
    assert titles.title_of(title, None) == (" ".join(slow), "")


def test_a_title_of_very_many_spaces_is_not_looked_at_anew_from_each_of_them() -> None:
    spaces = " " * 200_000
    assert titles.title_of(f"Emma{spaces}:{spaces}One{spaces}(A Novel)", None) == ("emma", "one a novel")
