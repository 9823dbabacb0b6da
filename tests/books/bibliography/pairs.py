# ruff: noqa: RUF001 - look-alike characters are what some of these pairs are about
"""The table of pairs: which books are the same (=) and which are not (≠), whoever compares them.

Both are by the same author unless the table says `by`.
"""

import re
from typing import Final, NamedTuple

AUTHOR: Final = "Ada Author"

TABLE: Final = """
Kings, volumes and parts
≠   Henry IV                                            Henry V
≠   Henry V                                             Henry VI
≠   Henry V                                             Henry VIII
≠   Henry the Fourth                                    Henry the Fifth
=   Henry the Fifth                                     Henry V
=   Henry IV, Part 1                                    Henry IV Part One
=   Henry IV, Part 1                                    Henry IV, Part I
≠   Henry IV, Part 1                                    Henry IV, Part 2
≠   Henry IV, Part One                                  Henry IV, Part Two
≠   Henry IV, Part 2                                    Henry IV
=   Complete Stories, Vol. 2                            Complete Stories, Volume Two
=   Complete Stories, Volume II                         Complete Stories: Vol 2
=   Complete Stories (Volume 2)                         Complete Stories, Second Volume
≠   Complete Stories, Volume II                         Complete Stories, Volume III
≠   Complete Stories: Volume II                         Complete Stories
≠   Complete Works II                                   Complete Works III
≠   Complete Works 2                                    Complete Works 12
=   Complete Works 2                                    Complete Works II
≠   Fables, Vol. IX                                     Fables, Vol. X
≠   Fables, Vol. 9: Sons of Empire                      Fables, Vol. 10: The Good Prince
≠   1Q84 Book 1                                         1Q84 Book 2
≠   Mit eigenen Augen, Band 1                           Mit eigenen Augen, Band 2
=   Mit eigenen Augen, Bd. 2                            Mit eigenen Augen: Zweiter Band
≠   Faust, erster Teil                                  Faust, zweiter Teil
=   Le Comte de Monte-Cristo, tome 2                    Le Comte de Monte-Cristo, Tome II
≠   Le Comte de Monte-Cristo, tome 1                    Le Comte de Monte-Cristo, tome 2
≠   The Complete Peanuts 1950                           The Complete Peanuts 1951
≠   1984                                                1985
≠   The Two Musketeers of the King                      The Three Musketeers of the King
≠   Volume XL of the Chronicle                          Volume XLI of the Chronicle
=   The King and I                                      The King and I
=   Malcolm X                                           Malcolm X

Editions
=   Calculus                                            Calculus, 2nd edition
=   Calculus, Second Edition                            Calculus (2nd ed.)
=   The Hobbit (Illustrated Edition)                    The Hobbit
=   Der Prozess, 3. Auflage                             Der Prozess
≠   Calculus II, 2nd edition                            Calculus III, 2nd edition

Subtitles and series
=   Emma                                                Emma: A Novel
=   Moby-Dick; or, The Whale                            Moby Dick
=   Sapiens: A Brief History of Humankind               Sapiens - a brief history of humankind
=   The Two Towers                                      The Lord of the Rings: The Two Towers
=   The Two Towers (The Lord of the Rings, #2)          The Two Towers
=   Dune (Dune, #1)                                     Dune
≠   Dune: Messiah                                       Dune
≠   Dune: Messiah                                       Dune: House Atreides
≠   Dune                                                Dune Messiah
≠   The Lord of the Rings: The Two Towers               The Lord of the Rings: The Return of the King
≠   Foundation                                          Foundation and Empire
≠   The Chronicles of Narnia The Silver Chair           The Chronicles of Narnia The Last Battle
≠   Harry Potter and the Goblet of Fire                 Harry Potter and the Order of the Phoenix

Retellings
≠   Atomic Habits                                       Summary of Atomic Habits
≠   The Hobbit                                          The Hobbit: Abridged
≠   The 7 Habits of Highly Effective People             The 7 Habits of Highly Effective People Workbook

Articles
=   The Hobbit                                          Hobbit
=   Der Zauberberg                                      Zauberberg
=   Les Misérables                                      Miserables
=   El amor en los tiempos del cólera                   Amor en los tiempos del colera
=   Il nome della rosa                                  Nome della rosa
=   Ein Sommer in Wien                                  Sommer in Wien
=   Une Vie de château                                  Vie de chateau
=   Het verdriet van België                             Verdriet van Belgie

Scripts, signs and spaces
=   L'Étranger                                          L Etranger
=   L’Étranger                                          L'ETRANGER
=   PRIDEANDPREJUDICE                                   Pride and Prejudice
=   Crime & Punishment                                  Crime and Punishment
=   Smillas sense of snow                               Smilla's Sense of Snow
=   Straße der Lieder                                   STRASSE DER LIEDER
=   ＤＵＮＥ                                             Dune
=   Отцы и дети                                         Otcy i deti
=   红楼梦                                               紅樓夢
=   北京                                                北京
≠   北京                                                背景
≠   C++ in a Nutshell                                   C# in a Nutshell
≠   C in a Nutshell                                     C++ in a Nutshell
≠   C & C++                                             C & C#
=   C & C++                                             C and C++
≠   Vitamin C                                           Vitamin D
≠   Plan A                                              Plan B

One letter apart, and slips of the keyboard or the camera
≠   Emma                                                Gemma
≠   The Hunt                                            The Hut
≠   Cats                                                Bats
≠   It                                                  If
≠   Carrie                                              Cujo
=   Prde and Prejudice                                  Pride and Prejudice
=   PRlDE AND PREJUD1CE                                 Pride and Prejudice
=   Midlemarhc                                          Middlemarch
=   The Fellowshipof the Rlng                           The Fellowship of the Ring
=   Teh Museum of Innocence                             The Museum of Innocence
=   THEMUSEUM OF INNOCEMCE                              Museum of Innocence
≠   The Russia House                                    A Russian Journal

People
=   The Hobbit by J.R.R. Tolkien                        The Hobbit by Tolkien, J. R. R.
=   The Hobbit by JRR Tolkien                           The Hobbit by John Ronald Reuel Tolkien
=   The Hobbit by Tolkien                               The Hobbit by J. R. R. Tolkien
=   The Dispossessed by Ursula K. Le Guin               The Dispossessed by Le Guin, Ursula K.
=   The Dispossessed by Ursula Le Guin                  The Dispossessed by Ursula K. LeGuin
=   Letters by van Gogh                                 Letters by Vincent van Gogh
=   Letters by Gogh, Vincent van                        Letters by Vincent van Gogh
=   Memoirs of War by de Gaulle, Charles                Memoirs of War by Charles de Gaulle
=   Don Quixote by Cervantes                            Don Quixote by Miguel de Cervantes Saavedra
=   Good Omens by Neil Gaiman & Terry Pratchett         Good Omens by Terry Pratchett; Neil Gaiman
=   Emma by Jane Austin                                 Emma by Jane Austen
=   Emma by JANEAUSTEN                                  Emma by Austen, Jane
=   Idiot by Фёдор Достоевский                          Idiot by Fyodor Dostoevskiy
≠   Emma by Jane Austen                                 Emma by Kaoru Mori
≠   Poems by John Smith                                 Poems by Adam Smith
≠   Poems by J. Smith                                   Poems by A. Smith
≠   Agnes by Anne Brontë                                Agnes by Emily Brontë
≠   Letters by Vincent van Gogh                         Letters by Ludwig van Beethoven
"""


class Side(NamedTuple):
    title: str
    author: str


class Pair(NamedTuple):
    same: bool
    one: Side
    other: Side


def _side(cell: str) -> Side:
    title, _, author = cell.partition(" by ")
    return Side(title, author or AUTHOR)


def _pairs() -> list[Pair]:
    rows = [line for line in TABLE.splitlines() if line[:1] in ("=", "≠")]
    cells = [re.split(r"\s{2,}", line) for line in rows]
    return [Pair(sign == "=", _side(one), _side(other)) for sign, one, other in cells]


PAIRS: Final = _pairs()
SAME: Final = [pair for pair in PAIRS if pair.same]
OTHERS: Final = [pair for pair in PAIRS if not pair.same]
