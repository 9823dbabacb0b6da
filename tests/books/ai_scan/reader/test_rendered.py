"""A dozen rendered shelves; bench/scan_shelves.py reads hundreds."""

import pytest

pytest.importorskip("rapidocr", reason="needs the extra: pip install shelfwire[scan]")

import numpy as np

from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.ai_scan.reader import Reader
from tests.books.ai_scan.scoring import Book, Score, scored
from tests.books.ai_scan.shelves import shelf


def test_rendered_shelves_are_read_almost_without_fault() -> None:
    reader, total = Reader(threads=1), Score(0, 0, 0, 0, 0, 0, 0)
    for seed in range(12):
        rendered = shelf(seed)
        spines = reader.read(np.asarray(open_photo(rendered.jpeg())), lambda _: None)
        found = [Book(spine.title, ", ".join(spine.authors)) for spine in spines]
        total += scored(found, [Book(book.title, book.author) for book in rendered.books])
    assert total.recall >= 0.95, total
    assert total.precision >= 0.95, total
    assert total.naming >= 0.9, total
