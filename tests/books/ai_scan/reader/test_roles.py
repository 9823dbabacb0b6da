"""Which piece of a spine is its title, which names its authors, and whether it is a book."""

import numpy as np
import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

from shelfwire.books.ai_scan.reader import roles, shelf
from shelfwire.books.ai_scan.reader.lexicon import Lexicon
from shelfwire.books.ai_scan.reader.likely_names import name_likeness
from shelfwire.books.ai_scan.reader.weights import Fitted, Weights, shipped

ENGLISH = Lexicon(())


@pytest.mark.parametrize(
    "name", ["Irena Jurgielewiczowa", "HEMINGWAY", "J. R. R. Tolkien", "Rinaldi", "Karen Cushman", "Thomas Sowell"]
)
def test_names_look_more_like_names_than_titles_do(name: str) -> None:
    titles = ["The Staircase", "A Break with Charity", "Shooting the Moon", "Number the Stars", "Just Juice"]
    assert name_likeness(name, ENGLISH) > max(name_likeness(title, ENGLISH) for title in titles)


def test_several_names_look_like_names_together() -> None:
    assert name_likeness("Amir Levine and Rachel Heller", ENGLISH) >= name_likeness("Amir Levine", ENGLISH)
    assert name_likeness("Amir Levine and the Whale", ENGLISH) < 0


def test_the_language_of_a_photo_is_that_of_most_of_its_words() -> None:
    german = Lexicon(["die", "welt", "ist", "nicht", "genug", "und", "wir"])
    assert german.frequency("nicht") > 4
    assert ENGLISH.frequency("nicht") == 0
    assert german.frequency("history") == ENGLISH.frequency("history") > 4, "English is known everywhere"


def test_the_shipped_weights_are_those_of_the_features_that_the_code_knows() -> None:
    weights = shipped(roles.FEATURES, shelf.FEATURES)
    assert (weights.roles.shape, weights.chance.shape) == ((len(roles.FEATURES),), (len(shelf.FEATURES),))
    assert np.isfinite([*weights.roles, *weights.chance, weights.bias]).all()


def test_weights_of_other_features_are_refused() -> None:
    fitted = Fitted({"a": 1.0}, {"b": 2.0}, {"b": 0.5}, {"b": 4.0}, 1.0)
    with pytest.raises(ValueError, match="Fit it anew"):
        Weights.of(fitted, ("a", "c"), ("b",))
    weights = Weights.of(fitted, ("a",), ("b",))
    assert (weights.roles.tolist(), weights.chance.tolist(), weights.bias) == ([1.0], [0.5], 0.75)
