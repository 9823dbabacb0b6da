"""How well the offline reader reads rendered shelves: recall and precision over many, against what is asked of it.

python bench/scan_shelves.py [--count 200] [--first 0]
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.books.ai_scan.scoring import Book, Score, scored
from tests.books.ai_scan.shelves import shelf

from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.ai_scan.reader import Reader

WANTED = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    reader = Reader()
    total, start = Score(0, 0, 0, 0, 0, 0, 0), time.perf_counter()
    for seed in range(options.first, options.first + options.count):
        rendered = shelf(seed)
        spines = reader.read(np.asarray(open_photo(rendered.jpeg())), lambda _: None)
        found = [Book(spine.title, ", ".join(spine.authors)) for spine in spines]
        score = scored(found, [Book(book.title, book.author) for book in rendered.books])
        total += score
        if options.verbose:
            print(seed, score, [(spine.title, spine.authors) for spine in spines], flush=True)
    recall, precision = total.recall, total.precision
    print(f"{options.count} shelves, {(time.perf_counter() - start) / options.count:.1f} s each")
    print(f"recall {recall:.3f} ({recall / WANTED:.2f} of the {WANTED} wanted)")
    print(f"precision {precision:.3f} ({precision / WANTED:.2f} of the {WANTED} wanted)")
    print(f"authors {total.naming:.3f} of those found, title and author swapped {total.confused}")


if __name__ == "__main__":
    main()
