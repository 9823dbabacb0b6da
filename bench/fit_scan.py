"""Fits the weights of the offline reader to photos with a truth, and says how well that carries over.

A photo is `name.jpg` with `name.json` beside it (see `scan_accuracy.py`). The figures are of each photo judged by
weights that were fitted to the others and to rendered shelves.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rapidfuzz import fuzz

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.books.ai_scan.scoring import SAME_TITLE, Book, Score, folded, likeness, scored
from tests.books.ai_scan.shelves import shelf

from shelfwire.books.ai_scan.ipc import LIKELY
from shelfwire.books.ai_scan.photos import open_photo
from shelfwire.books.ai_scan.reader import roles
from shelfwire.books.ai_scan.reader import shelf as books
from shelfwire.books.ai_scan.reader.edges import Edges
from shelfwire.books.ai_scan.reader.engine import Engine
from shelfwire.books.ai_scan.reader.lines import page_text
from shelfwire.books.ai_scan.reader.spine_text import SpineContent
from shelfwire.books.ai_scan.reader.spines import Group, spines_of
from shelfwire.books.ai_scan.reader.weights import FILE, Fitted, Weights

Array = NDArray[np.float64]

TARGET = Path(roles.__file__).with_name(FILE)
PULL = 0.3
"""How strongly weights are drawn to those they start with."""
STEPS = 150
"""Of the fit; the last ones change nothing that matters."""
RENDERED = 24
"""Rendered shelves that teach, beside the photos, what a book is."""
RIGHT = 0.02
"""Ways to give roles whose worth is this close to the best are all right."""


class Photo(NamedTuple):
    """The spines of a photo and its books; for each spine all ways to give roles, and which are right, if any."""

    groups: Sequence[Group]
    size: tuple[int, int]
    true: Sequence[Book]
    ways: Sequence[Array]
    right: Sequence[NDArray[np.bool_] | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}, fitted to all of them")
    options = parser.parse_args()
    engine = Engine(threads=1)
    photos = {path.stem: prepared(engine, _image(path), _truth(path)) for path in options.photos}
    rendered = [_rendered(engine, number) for number in range(RENDERED)]
    start = np.array([STARTS.get(name, 0.0) for name in roles.FEATURES])
    carried_over(photos, rendered, start)
    if options.write:
        fitted = fit(list(photos.values()), rendered, start)
        TARGET.write_bytes(msgspec.json.format(msgspec.json.encode(fitted), indent=1) + b"\n")
        print(f"{TARGET} is written")


def _image(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as photo:
        return np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))


def _truth(path: Path) -> list[Book]:
    said: Any = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return [
        Book(book["title"], book.get("author") or "") for book in (said if isinstance(said, list) else said["books"])
    ]


def _rendered(engine: Engine, number: int) -> Photo:
    made = shelf(number)
    true = [Book(book.title, book.author) for book in made.books]
    return prepared(engine, np.asarray(open_photo(made.jpeg())), true)


def prepared(engine: Engine, image: NDArray[np.uint8], true: Sequence[Book]) -> Photo:
    """Read a photo and give each spine the book of the truth that a way to give its roles fits best."""
    page = page_text(image, engine, _ignore)
    size = page.image.shape[1], page.image.shape[0]
    groups = spines_of(page.lines, Edges.of(page.image), size)
    lexicon = books.lexicon_of(groups)
    found = [(group, ways) for group in groups if (ways := roles.ways(group, lexicon))]
    worth = [np.array([[_worth(way, book) for book in true] for way in ways]) for _, ways in found]
    right: list[NDArray[np.bool_] | None] = [None] * len(found)
    taken: set[int] = set()
    best = ((values[:, book].max(), spine, book) for spine, values in enumerate(worth) for book in range(len(true)))
    for value, spine, book in sorted(best, reverse=True):
        if value > 0 and right[spine] is None and book not in taken:
            taken.add(book)
            right[spine] = worth[spine][:, book] >= value - RIGHT
    return Photo(
        [group for group, _ in found],
        size,
        true,
        [np.array([way.features for way in ways]) for _, ways in found],
        right,
    )


def _ignore(_: str) -> None:
    pass


def _worth(way: roles.Roles, book: Book) -> float:
    """How right a way to give roles is: 0 for another title, above 1 with the author."""
    alike = likeness(way.title, book.title)
    if alike < SAME_TITLE:
        return 0.0
    names = folded(book.authors).split()
    if not names:
        return alike / 100 + 0.3 * (not way.authors)
    return alike / 100 + 0.6 * (fuzz.partial_ratio(names[-1], folded(", ".join(way.authors))) >= 85)


def fit(photos: Sequence[Photo], rendered: Sequence[Photo], start: Array) -> Fitted:
    """Fit roles to the photos alone, and the chance of a book to the rendered shelves, too.

    Fitted to both, roles became worse on photos and no better on rendered shelves, which have two layouts only.
    """
    weights = fit_roles(photos, start)
    judged = [_judged(photo, weights) for photo in [*photos, *rendered]]
    features, right = np.concatenate([pair[0] for pair in judged]), np.concatenate([pair[1] for pair in judged])
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    chance = logistic(np.c_[(features - middle) / spread, np.ones(len(features))], right)
    names = books.FEATURES
    return Fitted(
        _named(roles.FEATURES, weights),
        _named(names, chance[:-1]),
        _named(names, middle),
        _named(names, spread),
        round(float(chance[-1]), 4),
    )


def _named(names: Sequence[str], values: Array) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}


def fit_roles(photos: Sequence[Photo], start: Array) -> Array:
    """The weights under which right ways are likeliest (a softmax over those of a spine), drawn to `start`, by Adam."""
    spines = [
        (ways, right, 1 / math.sqrt(max(1, len(photo.true))))
        for photo in photos
        for ways, right in zip(photo.ways, photo.right, strict=True)
        if right is not None and not right.all()
    ]
    sizes = [len(ways) for ways, _, _ in spines]
    starts = np.cumsum([0, *sizes[:-1]])
    spine_of = np.repeat(np.arange(len(spines)), sizes)
    features = np.concatenate([ways for ways, _, _ in spines])
    right = np.concatenate([right for _, right, _ in spines]).astype(float)
    weight = np.array([weight for _, _, weight in spines])
    weights, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, STEPS + 1):
        values = features @ weights
        shares = np.exp(values - np.maximum.reduceat(values, starts)[spine_of])
        all_of, right_of = (np.add.reduceat(part, starts)[spine_of] for part in (shares, shares * right))
        pull = (shares * right / (right_of + 1e-12) - shares / all_of) * weight[spine_of]
        slope = pull @ features / weight.sum() * 30 - PULL * (weights - start)
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        weights = weights + 0.075 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-3)
    return weights


def logistic(features: Array, right: Array) -> Array:
    """Weights of a logistic regression with a ridge of 1, by Newton's method; the last feature is the constant."""
    weights = np.zeros(features.shape[1])
    ridge = np.eye(len(weights))
    ridge[-1, -1] = 0
    for _ in range(30):
        chance = 1 / (1 + np.exp(-features @ weights))
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + ridge
        weights = weights + np.linalg.solve(curve, features.T @ (right - chance) - ridge @ weights)
    return weights


def _judged(photo: Photo, role_weights: Array) -> tuple[Array, Array]:
    """The features of a photo's candidates, and which of them are its books."""
    candidates = books.candidates(photo.groups, role_weights)
    score = scored([_book(candidate.spine) for candidate in candidates], photo.true)
    features = np.array([candidate.features for candidate in candidates]).reshape(-1, len(books.FEATURES))
    return features, np.array([index in score.pairs for index in range(len(candidates))], float)


def _book(spine: SpineContent) -> Book:
    return Book(spine.title, ", ".join(spine.authors))


def carried_over(photos: dict[str, Photo], rendered: Sequence[Photo], start: Array) -> None:
    """Print the score of each photo by weights fitted to the others, and whether chances are what they say."""
    total = Score(0, 0, 0, 0, 0, 0, 0)
    said: list[tuple[float, bool]] = []
    for name, photo in photos.items():
        others = [other for key, other in photos.items() if key != name]
        weights = Weights.of(fit(others, rendered, start), roles.FEATURES, books.FEATURES)
        found = books.found_by_weights(photo.groups, weights, photo.size, least=0.0)
        pairs = scored([_book(spine) for spine in found], photo.true).pairs
        said += [(spine.confidence, index in pairs) for index, spine in enumerate(found)]
        kept = [spine for spine in found if spine.confidence >= LIKELY]
        score = scored([_book(spine) for spine in kept] if books.is_shelf(kept) else [], photo.true)
        print(f"{name:32} {figures(score)}", flush=True)
        total += score
    print(f"{'all':32} {figures(total)}")
    for low in range(10):
        bucket = [right for chance, right in said if low <= chance * 10 < low + 1]
        if bucket:
            print(f"chance {low / 10:.1f} to {low / 10 + 0.1:.1f}: {np.mean(bucket):.2f} right of {len(bucket)}")


def figures(score: Score) -> str:
    return (
        f"{score.recalled:3}/{score.books:3} {score.recall:4.2f} "
        f"{score.found - score.false:3}/{score.found:3} {score.precision:4.2f} "
        f"{score.authors:3}/{score.named:3} {score.naming:4.2f} {score.confused:8}"
    )


STARTS = {
    "author_name": 3.0,
    "author_unlike": -1.2,
    "author_rare": 0.8,
    "author_common": -1.5,
    "author_size": -0.3,
    "author_tiny": -2.0,
    "author_publisher": -3.0,
    "author_noise": -2.0,
    "author_by": 2.0,
    "author_long": -1.5,
    "author_score": 0.3,
    "title_size": 1.0,
    "title_weight": 1.2,
    "title_known": 1.0,
    "title_name": -1.0,
    "title_publisher": -2.5,
    "title_noise": -1.0,
    "title_tiny": -1.5,
    "title_crossing": -0.2,
    "title_misread": -0.8,
    "title_score": 0.3,
    "left_weight": -1.0,
    "left_pieces": 0.3,
    "title_pieces": -0.2,
    "title_holes": -0.4,
    "title_mixed": -0.6,
    "has_author": 0.3,
    "more_authors": -0.5,
    "parted": -0.6,
    "unjoined": -0.3,
    "name_contrast": 0.8,
    "author_larger": -0.3,
    "rules_title": 1.2,
    "rules_authors": 0.6,
}
"""Weights set by hand, to which the fit is drawn: without, some 300 spines teach too little."""


if __name__ == "__main__":
    main()
