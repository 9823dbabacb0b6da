"""Write a made-up book list of any length as CSV, to try an import of a realistic size.

    python examples/make_library.py 100000 > library.csv
    python examples/make_library.py 5000 --seed 7 --duplicates 0.02 --broken 0.01 > library.csv

The same arguments always give the same bytes. No author, publisher or series is meant to be a real one, and an ISBN
in the list belongs to the list only: its check digit is right, but it was never asked for.
"""

import argparse
import contextlib
import csv
import functools
import itertools
import math
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TextIO

HEADER: Final = ("Title", "Author", "ISBN13", "Publisher", "Binding", "Year Published", "My Rating", "Date Read")


def _words(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(separator))


ADJECTIVES: Final = _words(
    """Amber Ancient Bitter Borrowed Bright Broken Burning Careful Copper Crooked Distant Drowned Eleventh Empty
    Faithful Fallen Forgotten Fragile Frozen Gentle Gilded Glass Golden Half-Lit Hidden Hollow Hungry Invisible Iron
    Last Little Lonely Long Lost Luminous Midnight Narrow Nameless Ninth Northern Old Open Painted Pale Paper Patient
    Quiet Reluctant Restless Rising Salt Scarlet Second Secret Seventh Shattered Silent Silver Sleeping Slow Stolen
    Stubborn Sunken Tender Third Unfinished Unwritten Velvet Wandering White Wild Winter Wooden Yellow"""
)
NOUNS: Final = _words(
    """Account Almanac Anchor Archive Atlas Balcony Bell Bridge Cabinet Candle Canal Carousel Cathedral Chapel Clock
    Coast Compass Corridor Country Crossing Darkness Dictionary Door Echo Engine Equation Estate Evening Feather Ferry
    Field Fire Forest Fountain Garden Gate Glacier Grammar Harbour Harvest Hour House Inheritance Inn Island Journey
    Kingdom Kitchen Ladder Lantern Ledger Letter Library Lighthouse Machine Map Market Meadow Melody Mirror Morning
    Mountain Museum Music Night Notebook Ocean Orchard Orchestra Palace Parade Path Pattern Photograph Piano Portrait
    Promise Question Rain Recipe River Road Room Sea Season Shadow Shore Snow Song Staircase Station Storm Summer
    Theatre Theorem Tide Tower Train Valley Village Voyage Wall Well Window Wing Wood Year"""
)
PEOPLE: Final = _words(
    """Accountant Apprentice Archivist Astronomer Baker Beekeeper Botanist Captain Carpenter Cartographer Clockmaker
    Collector Composer Conductor Cook Daughter Diver Doctor Engineer Exile Falconer Ferryman Fisherman Gardener
    Glassblower Governess Guest Inspector Juggler Keeper Linguist Locksmith Magician Mapmaker Midwife Musician
    Neighbour Nurse Orphan Painter Photographer Pianist Pilot Poet Printer Prisoner Restorer Sailor Scholar
    Shepherd Sister Smuggler Stranger Swimmer Tailor Teacher Translator Traveller Twin Watchman Weaver Widow"""
)
THINGS: Final = _words(
    """Acorn Bear Comet Crow Falcon Fig Fox Goldfish Hare Heron Ivy Kite Lemon Moth Nightingale Oak Otter Owl Peacock
    Pear Rook Salmon Seal Sparrow Spider Starling Swan Thistle Whale Willow Wolf Wren"""
)
PLACES: Final = _words(
    """Aleppo, Antwerp, Arles, Bergen, Bilbao, Brno, Bruges, Cádiz, Cork, Dakar, Delft, Dubrovnik, Évora, Fez, Galway,
    Gdańsk, Ghent, Granada, Hanoi, Havana, Izmir, Kraków, Kyoto, Leith, Lima, Lisbon, Ljubljana, Lübeck, Malmö,
    Montréal, Mysore, Naples, Odesa, Oslo, Porto, Riga, Salem, Samarkand, Spring, Tallinn, Tartu, the Dunes, the Fens,
    the Marshes, the Moors, the North, the Outer Isles, the Steppe, Trieste, Tromsø, Turin, Uppsala, Valparaíso,
    Vilnius, Whitby, York, Zanzibar""",
    ",",
)
SERIES: Final = _words(
    """Ashgrove Mysteries, Blackwater Quartet, Brass Meridian, Cinder Lane, Cold Harbour Cases, Eastmarch Chronicles,
    Fenwick & Daughters, Five Rivers, Greywater Saga, Inspector Vale, Kestrel Bay, Long Winter, Marrow Street,
    Northlight, Paper Cities, Quarter Moon, Saltmarsh Stories, Tales of the Ninth Gate, The Lamplighters, Thornfell,
    Tidewater, Verity Pike Investigates, Wayfarers' Guild, Winterbourne Abbey""",
    ",",
)
FIRST_NAMES: Final = _words(
    """Ada Agnieszka Aiko Amara Anders André Ángela Anton Ayşe Beatriz Björn Carlos Chiara Chidi Clara Dario Dörte
    Edith Elif Emeka Esther Eszter Farah Felix Fiona Gabriel Greta Hana Hugo Ines Ingrid Isabel Ivan Jakub Jasmin Jiří
    Joan Jonas Júlia Kamala Karel Kwame Lars Laura Leila Lucía Lukas Maeve Marek Margit Mateo Mei Mina Nadia Naoko
    Niamh Nils Noor Olga Oskar Owen Paula Pavel Priya Rafael Ravi Rosa Ruth Samir Sanna Sofia Søren Tamsin Teresa
    Thandi Tomás Uma Vera Viktor Wei Yusuf Zofia"""
)
LAST_NAMES: Final = _words(
    """Abara Achterberg Adeyemi Almeida Anand Arnesen Ashdown Avery Bajwa Balogh Barros Beaumont Bergqvist Bielak Blum
    Brankov Brennan Calloway Cardoso Castellanos Chaudhry Cieślak Costigan Czerny Dahl Delacroix Demirci Dvořáček
    Eklund Endo Escudero Fairweather Farkas Ferreira Fontaine Fujita Garrick Gashi Grönholm Guerrero Hájek Halloran
    Haraldsen Hartwell Havili Hollis Horvat Ibáñez Ishii Ivarsson Jankowska Jespersen Kaplan Karimi Kessler Kimathi
    Kovářová Laine Lindqvist Llewellyn Lundgren Macleod Mahlangu Marchetti Mazur Mbeki Menon Moreau Murata Nakai
    Novotny Nwosu Oakes Obi Okafor Olsson Ortega Özkan Pacheco Palmgren Pemberton Petrov Quigley Quiroga Raman Rasmussen
    Restrepo Rosário Rutkowski Sahin Salazar Sandoval Sato Schreiber Seidl Silvestri Sjöberg Sokolov Stavros Szabó
    Takeda Thorne Toivonen Tremblay Umarov Vance Varga Vasquez Verhoeven Vieira Wadleigh Weatherby Whitlock Wójcik
    Yamane Yilmaz Zamora Zeller Zielińska"""
)
PUBLISHERS: Final = _words(
    """Alder & Finch, Anchorite Press, Blue Door, Bracken House, Brightwater, Calder Lane, Copperfield Row,
    Corvid Editions, Dovetail, East Quay Press, Fernhill Books, Gannet, Halcyon & Sons, Ironbridge, Juniper Street,
    Kittiwake, Lantern Press, Larkspur, Mill Pond Books, North Pier, Old Orchard, Pennywhistle, Plover Press,
    Quince Tree, Redshank, Saltbox Books, Seven Elms, Tern & Tide, Three Herons, Underhill, Vellum House, Whinchat""",
    ",",
)
BINDINGS: Final = _words(
    "Paperback, Paperback, Paperback, Hardcover, Hardcover, Mass Market Paperback, Kindle Edition", ","
)

LONG_TITLES: Final = 30_000  # of each of the longer forms, so that they don't crowd out the short ones
GOLDEN: Final = (math.sqrt(5) - 1) / 2  # steps of this share of a circle spread out evenly over it
ISBNS: Final = 200_000_000  # the nine digits of 978-0 and 978-1, the check digit aside
ZEROS: Final = (6 + 3 * 6) * ord("0")  # the weighted sum of the character codes of twelve zeros
WITH_SERIES: Final = 7  # one book in so many
YEARS, NEWEST = 74, 2023
FIRST_READ, LAST_READ = 2010, 2024
READ_ON: Final = tuple(
    f"{year}/{month:02d}/{day:02d}"
    for year in range(FIRST_READ, LAST_READ + 1)
    for month in range(1, 13)
    for day in range(1, 29)
)
COPIES: Final = 8000  # made up once and dealt to the rows, which is faster than anew for each
SPREAD: Final = 2_654_435_761  # deals neighbouring books copies far apart (Knuth, 6.4)
READ_SHARE: Final = 0.7
RATINGS: Final = "0334444555"


@functools.cache
def _titles() -> tuple[str, ...]:
    """Make every title there is, each once."""
    short: Iterable[str] = itertools.chain(
        (f"The {adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS),
        (f"The {noun} of {place}" for noun in NOUNS for place in PLACES),
        (f"The {person}'s {noun}" for person in PEOPLE for noun in NOUNS),
        (f"The {adjective} {person}" for adjective in ADJECTIVES for person in PEOPLE),
        (f"The {person} of {place}" for person in PEOPLE for place in PLACES),
        (f"The {person} and the {thing}" for person in PEOPLE for thing in THINGS),
        (f"The {thing} in the {noun}" for thing in THINGS for noun in NOUNS),
    )
    adjective_noun_place = (f"The {a} {n} of {p}" for a, n, p in _spread(ADJECTIVES, NOUNS, PLACES))
    person_adjective_noun = (f"The {p}'s {a} {n}" for p, a, n in _spread(PEOPLE, ADJECTIVES, NOUNS))
    person_and_noun = (f"The {p} and the {a} {n}" for p, a, n in _spread(PEOPLE, ADJECTIVES, NOUNS))
    return tuple(dict.fromkeys(itertools.chain(short, adjective_noun_place, person_adjective_noun, person_and_noun)))


def _spread(*words: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Pick LONG_TITLES of all the combinations of three lists of words, evenly spread over them."""
    first, second, third = words
    size = len(first) * len(second) * len(third)
    step = _step(size)
    for number in range(LONG_TITLES):
        rest, last = divmod(number * step % size, len(third))
        yield first[rest // len(second)], second[rest % len(second)], third[last]


def _step(size: int) -> int:
    """Choose a step that visits each of `size` places once before it comes back to the first."""
    step = int(size * GOLDEN)
    while math.gcd(step, size) != 1:
        step += 1
    return step


def _check_digit(digits: str) -> int:
    """Give the thirteenth digit of an ISBN.

    Args:
        digits: The first twelve.
    """
    codes = digits.encode()
    return (ZEROS - sum(codes[::2]) - 3 * sum(codes[1::2])) % 10


class _Catalogue:
    """Endless distinct books, each a function of its number and of the seed.

    Args:
        seed: Another seed starts elsewhere in the same round of books.
    """

    def __init__(self, seed: int) -> None:
        rng = _rng(f"catalogue {seed}")
        self._titles = _titles()
        self._authors = [f"{first} {last}" for last in LAST_NAMES for first in FIRST_NAMES]
        self._pairs = len(self._titles) * len(self._authors)
        self._pair_step, self._pair_start = _step(self._pairs), int(rng.random() * self._pairs)
        self._isbn_step, self._isbn_start = _step(ISBNS), int(rng.random() * ISBNS)

    def book(self, number: int) -> tuple[str, str, str]:
        """Give a book's title, author and ISBN-13; every second book has no ISBN."""
        place = (number * self._pair_step + self._pair_start) % self._pairs
        author, title = divmod(place, len(self._titles))
        name = self._titles[title]
        if number % WITH_SERIES == 0:
            name = f"{name} ({SERIES[author % len(SERIES)]}, #{1 + title % 9})"
        isbn = ""
        if number % 2 == 0:
            digits = f"978{(number * self._isbn_step + self._isbn_start) % ISBNS:09d}"
            isbn = f"{digits}{_check_digit(digits)}"
        return name, self._authors[author], isbn


def _rng(seed: str) -> random.Random:
    """Make the source of every choice; only its random() is used, which is the same in every Python."""
    return random.Random(seed)  # noqa: S311 - made-up books keep no secret


def _copy(draw: Callable[[], float]) -> tuple[str, str, str, str, str]:
    """Make up the cells of a book beside its title, author and ISBN."""
    publisher = PUBLISHERS[int(draw() * len(PUBLISHERS))]
    binding = BINDINGS[int(draw() * len(BINDINGS))]
    year = NEWEST - int(draw() ** 2 * YEARS)
    if draw() >= READ_SHARE:
        return publisher, binding, str(year), "0", ""
    bought = max(year - FIRST_READ, 0) * 12 * 28
    read = READ_ON[bought + int(draw() * (len(READ_ON) - bought))]
    return publisher, binding, str(year), RATINGS[int(draw() * len(RATINGS))], read


def library_rows(rows: int, *, seed: int = 1, duplicates: float = 0.0, broken: float = 0.0) -> Iterator[list[str]]:
    """Make the rows of a book list, without its header.

    Args:
        rows: How many rows, duplicates and broken ones among them.
        seed: Another seed gives another list.
        duplicates: The share of the rows that repeat an earlier row, cell for cell.
        broken: The share of the rows that have neither title nor ISBN.

    Returns:
        The rows, each with a cell for each name in HEADER. Exactly round(duplicates * rows) of them repeat an
        earlier one and exactly round(broken * rows) are broken; the first row is neither.

    Raises:
        ValueError: A number is below zero, or the shares leave no good row to begin with.
    """
    if rows < 0 or duplicates < 0 or broken < 0:
        raise ValueError("rows, duplicates and broken can't be below zero")
    repeats, faults = round(duplicates * rows), round(broken * rows)
    if repeats + faults > max(rows - 1, 0):
        raise ValueError(f"{repeats} duplicates and {faults} broken rows don't fit into {rows} rows after a good one")
    return _rows(rows, seed, repeats, faults)


def _rows(rows: int, seed: int, repeats: int, faults: int) -> Iterator[list[str]]:
    """Make the rows that library_rows promised."""
    catalogue, draw = _Catalogue(seed), _rng(f"rows {seed}").random
    copies = [_copy(draw) for _ in range(min(rows, COPIES))]
    known = 0
    for left in range(rows, 0, -1):
        # Each place still to come is as likely as any other to hold one of the repeats and faults still to come.
        drawn = draw() * left if known else float(left)
        if drawn < repeats:
            repeats -= 1
            number = int(draw() * known)
            title, author, isbn = catalogue.book(number)
        elif drawn < repeats + faults:
            faults -= 1
            number = left
            title, author, isbn = "", "", ""
        else:
            number = known
            title, author, isbn = catalogue.book(number)
            known += 1
        yield [title, author, isbn, *copies[number * SPREAD % len(copies)]]


def write_library(
    stream: TextIO,
    rows: int,
    *,
    seed: int = 1,
    duplicates: float = 0.0,
    broken: float = 0.0,
) -> None:
    """Write a book list as CSV, its header first.

    Args:
        stream: Where to; opened with newline="" and, for a file, encoding="utf-8".
        rows: How many rows, the header aside.
        seed: As for library_rows.
        duplicates: As for library_rows.
        broken: As for library_rows.
    """
    made = library_rows(rows, seed=seed, duplicates=duplicates, broken=broken)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(made)


def main() -> None:
    """Read the command line and write the list to the standard output."""
    parser = argparse.ArgumentParser(description="Write a made-up book list as CSV to the standard output.")
    parser.add_argument("rows", type=int, metavar="ROWS", help="how many rows, the header aside")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed gives another list (1)")
    parser.add_argument("--duplicates", type=float, default=0.0, metavar="SHARE", help="rows that repeat a book (0)")
    parser.add_argument("--broken", type=float, default=0.0, metavar="SHARE", help="rows without title and ISBN (0)")
    given = parser.parse_args()
    try:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as stream:
            write_library(stream, given.rows, seed=given.seed, duplicates=given.duplicates, broken=given.broken)
    except ValueError as error:
        parser.error(str(error))
    except BrokenPipeError:  # the reader had enough, as `head` does
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
