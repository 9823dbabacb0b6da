"""Shelves that exist only as pictures: rendered spines of real books, in the fonts, directions and lights of real ones.

Run as a script it writes some, to be looked at: `python -m tests.books.ai_scan.shelves FOLDER COUNT`.
"""

import io
import math
import random
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

FONTS: Final = {
    "font_caladea": ("Caladea-Regular.ttf", "Caladea-Bold.ttf"),
    "font_hanken_grotesk": ("HankenGrotesk-Medium.otf", "HankenGrotesk-Bold.otf"),
    "font_manrope": ("Manrope-Medium.ttf", "Manrope-ExtraBold.ttf"),
    "font_source_sans_pro": ("SourceSansPro-Semibold.ttf", "SourceSansPro-Bold.ttf"),
    "font_source_serif_pro": ("SourceSerifPro-Regular.ttf", "SourceSerifPro-Bold.ttf"),
}
BOOKS: Final = """\
Pride and Prejudice/Jane Austen
Northanger Abbey/Jane Austen
Wuthering Heights/Emily Bronte
The Tenant of Wildfell Hall/Anne Bronte
Great Expectations/Charles Dickens
Our Mutual Friend/Charles Dickens
Little Dorrit/Charles Dickens
Moby Dick/Herman Melville
The Scarlet Letter/Nathaniel Hawthorne
Walden/Henry David Thoreau
Leaves of Grass/Walt Whitman
Little Women/Louisa May Alcott
The Portrait of a Lady/Henry James
The Turn of the Screw/Henry James
The House of Mirth/Edith Wharton
The Age of Innocence/Edith Wharton
The Call of the Wild/Jack London
The Red Badge of Courage/Stephen Crane
Sister Carrie/Theodore Dreiser
My Antonia/Willa Cather
O Pioneers/Willa Cather
Winesburg Ohio/Sherwood Anderson
Heart of Darkness/Joseph Conrad
The Secret Agent/Joseph Conrad
Kim/Rudyard Kipling
The Jungle Book/Rudyard Kipling
Treasure Island/Robert Louis Stevenson
Kidnapped/Robert Louis Stevenson
Dracula/Bram Stoker
Frankenstein/Mary Shelley
The Moonstone/Wilkie Collins
The Woman in White/Wilkie Collins
Middlemarch/George Eliot
Silas Marner/George Eliot
Tess of the Durbervilles/Thomas Hardy
Jude the Obscure/Thomas Hardy
Vanity Fair/William Thackeray
Barchester Towers/Anthony Trollope
The Way We Live Now/Anthony Trollope
Cranford/Elizabeth Gaskell
North and South/Elizabeth Gaskell
The Time Machine/H. G. Wells
The Invisible Man/H. G. Wells
A Room with a View/E. M. Forster
Howards End/E. M. Forster
Dubliners/James Joyce
Ulysses/James Joyce
Sons and Lovers/D. H. Lawrence
Mrs Dalloway/Virginia Woolf
Jacob's Room/Virginia Woolf
The Importance of Being Earnest/Oscar Wilde
Gulliver's Travels/Jonathan Swift
Robinson Crusoe/Daniel Defoe
Moll Flanders/Daniel Defoe
Tristram Shandy/Laurence Sterne
Candide/Voltaire
Madame Bovary/Gustave Flaubert
Les Miserables/Victor Hugo
The Count of Monte Cristo/Alexandre Dumas
The Three Musketeers/Alexandre Dumas
Around the World in Eighty Days/Jules Verne
Germinal/Emile Zola
War and Peace/Leo Tolstoy
Anna Karenina/Leo Tolstoy
Crime and Punishment/Fyodor Dostoevsky
The Idiot/Fyodor Dostoevsky
Fathers and Sons/Ivan Turgenev
Dead Souls/Nikolai Gogol
The Cherry Orchard/Anton Chekhov
Don Quixote/Miguel de Cervantes
The Divine Comedy/Dante Alighieri
Faust/Johann Wolfgang von Goethe
Effi Briest/Theodor Fontane
A Doll's House/Henrik Ibsen
Hunger/Knut Hamsun
The Metamorphosis/Franz Kafka
On the Origin of Species/Charles Darwin
The Wealth of Nations/Adam Smith
Meditations/Marcus Aurelius
The Thirty-Nine Steps/John Buchan
""".splitlines()
PUBLISHERS: Final = ("PENGUIN", "VINTAGE", "Oxford", "Everyman", "FABER", "Wordsworth", "", "", "", "")
CLOTHS: Final = (
    "#1f2d4d",
    "#7c1d1d",
    "#234d2c",
    "#111111",
    "#f3efe4",
    "#e0b33c",
    "#5b2a63",
    "#c9c9c9",
    "#b5532a",
    "#ffffff",
)
WALLS: Final = ("#d9d2c5", "#8d8578", "#f5f5f5", "#3a3431")
LETTER: Final = 34
"""Height of a title's letters, in pixels: what a phone sees of a spine from a metre and a half, halved."""
DARK: Final = 140


@dataclass(frozen=True)
class Printed:
    """A book as it is printed on a spine."""

    title: str
    author: str


@dataclass(frozen=True)
class Shelf:
    """A photo of a shelf, and the truth about it."""

    photo: Image.Image
    books: tuple[Printed, ...]

    def jpeg(self, quality: int = 85) -> bytes:
        out = io.BytesIO()
        self.photo.save(out, "JPEG", quality=quality)
        return out.getvalue()


def shelf(seed: int) -> Shelf:
    """Render the shelf of a number: the same one every time."""
    chance = random.Random(seed)  # noqa: S311 - a picture is no secret
    books = [_printed(line) for line in chance.sample(BOOKS, chance.randint(5, 11))]
    strips = [_strip(book, chance) for book in books]
    wall = chance.choice(WALLS)
    photo = _stacked(strips, wall, chance) if chance.random() < 0.25 else _standing(strips, wall, chance)
    return Shelf(_seen(photo, wall, chance), tuple(books))


def _printed(line: str) -> Printed:
    title, author = line.split("/")
    return Printed(title, author)


def _font(chance: random.Random, size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    package = chance.choice(sorted(FONTS))
    name = FONTS[package][bold]
    return ImageFont.truetype(str(resources.files(package) / "files" / name), size)


def _strip(book: Printed, chance: random.Random) -> Image.Image:
    """A spine as it is when it lies: to be read from left to right."""
    size = round(LETTER * chance.uniform(0.9, 1.5))
    title, author = _styled(book, chance)
    heading, name = _font(chance, size, bold=True), _font(chance, round(size * chance.uniform(0.65, 0.9)), bold=False)
    publisher = chance.choice(PUBLISHERS)
    small = _font(chance, round(size * 0.5), bold=False)
    gap = round(size * chance.uniform(1.4, 3))
    parts = [(title, heading), (author, name)]
    if chance.random() < 0.4:
        parts.reverse()
    widths = [font.getlength(text) for text, font in parts]
    mark = small.getlength(publisher) if publisher else 0
    length = round(sum(widths) + mark + gap * (3 + bool(publisher)) + chance.randint(0, size * 3))
    thick = round(size * chance.uniform(1.7, 2.6))
    cloth = chance.choice(CLOTHS)
    ink = _ink(cloth, chance)
    spine = Image.new("RGB", (length, thick), cloth)
    pen = ImageDraw.Draw(spine)
    at = float(gap)
    for (text, font), width in zip(parts, widths, strict=True):
        pen.text((at, thick / 2), text, fill=ink, font=font, anchor="lm")
        at += width + gap
    if publisher:
        pen.text((length - gap / 2, thick / 2), publisher, fill=ink, font=small, anchor="rm")
    return _rounded(spine)


def _styled(book: Printed, chance: random.Random) -> tuple[str, str]:
    title = book.title.upper() if chance.random() < 0.5 else book.title
    author = chance.choice((book.author, book.author.upper(), book.author.split()[-1].upper()))
    return title, author


def _ink(cloth: str, chance: random.Random) -> str:
    red, green, blue = (int(cloth[at : at + 2], 16) for at in (1, 3, 5))
    dark = red * 0.3 + green * 0.59 + blue * 0.11 < DARK
    return chance.choice(("#ffffff", "#f1e3b0", "#e8e8e8") if dark else ("#000000", "#3b0d0d", "#14233f"))


def _rounded(spine: Image.Image) -> Image.Image:
    """Darker towards both edges, as what is round is."""
    width, height = spine.size
    shade = Image.new("L", (1, height))
    for row in range(height):
        edge = abs(row / height - 0.5) * 2
        shade.putpixel((0, row), round(255 * (1 - 0.35 * edge**4)))
    black = Image.new("RGB", spine.size)
    return Image.composite(spine, black, shade.resize((width, height)))


def _standing(strips: list[Image.Image], wall: str, chance: random.Random) -> Image.Image:
    down = chance.random() < 0.75
    spines = [strip.rotate(270 if down else 90, expand=True) for strip in strips]
    height = max(spine.height for spine in spines) + 120
    shelf = Image.new("RGB", (sum(spine.width for spine in spines) + 400, height + 60), wall)
    shelf.paste("#5a4632", (0, height, shelf.width, height + 60))
    left = 150
    for spine in spines:
        if chance.random() < 0.15:
            left += _lean(shelf, spine, left, height, chance.uniform(2, 7))
        else:
            shelf.paste(spine, (left, height - spine.height))
            left += spine.width + chance.randint(0, 3)
    return shelf


def _lean(shelf: Image.Image, spine: Image.Image, left: int, bottom: int, degrees: float) -> int:
    leaning = spine.convert("RGBA").rotate(-degrees, expand=True, resample=Image.Resampling.BICUBIC)
    shelf.paste(leaning, (left, bottom - leaning.height), leaning)
    return leaning.width + 4


def _stacked(strips: list[Image.Image], wall: str, chance: random.Random) -> Image.Image:
    width = max(strip.width for strip in strips)
    stack = Image.new("RGB", (width + 400, sum(strip.height for strip in strips) + 260), wall)
    top = 130
    for strip in strips:
        stack.paste(strip, (150 + chance.randint(0, max(1, (width - strip.width) // 2)), top))
        top += strip.height + chance.randint(0, 3)
    return stack


def _seen(photo: Image.Image, wall: str, chance: random.Random) -> Image.Image:
    """As a camera sees it: a little turned, with a light on it, not quite sharp."""
    if chance.random() < 0.4:
        photo = _glare(photo, chance)
    turned = photo.rotate(chance.uniform(-2, 2), resample=Image.Resampling.BICUBIC, fillcolor=wall)
    lit = ImageEnhance.Brightness(turned).enhance(chance.uniform(0.75, 1.1))
    return lit.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.8)))


def _glare(photo: Image.Image, chance: random.Random) -> Image.Image:
    light = Image.new("L", (64, 64))
    x, y, radius = chance.uniform(0, 64), chance.uniform(0, 64), chance.uniform(8, 20)
    for row in range(64):
        for column in range(64):
            light.putpixel((column, row), round(90 * math.exp(-(((column - x) ** 2 + (row - y) ** 2) / radius**2))))
    return Image.composite(Image.new("RGB", photo.size, "white"), photo, light.resize(photo.size))


if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(shelf(number).jpeg())
