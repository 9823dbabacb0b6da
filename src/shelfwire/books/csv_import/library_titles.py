"""Titles as the records of libraries have them (ISBD): "Emma [sound recording] / Jane Austen ; read by …"."""

import re
from typing import Final

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.reading_life import Draft

_MATERIAL: Final = re.compile(
    r"\s*\[(?P<no_book>(?:interactive |electronic )?(?:video ?(?:recording|disc|cassette|game)s?|motion picture|game"
    r"|dvd(?: video)?|blu-?ray|kit|filmstrip|music|music cd|compact disc|map|periodical|computer file|realia|toy))\]"
    r"|\s*\[(?P<book>electronic (?:resource|book)|e-?book|sound (?:recording|disc|cassette)s?(?: \(.{1,20}\))?"
    r"|audio ?book|large (?:print|type)|text \(large print\)|text|braille|graphic|microform|book on cd|playaway"
    r"|manuscript)\]",
    re.IGNORECASE,
)
"""What a catalogue says of the material, in brackets behind the title. Source: AACR2, rule 1.1C1."""
_RESPONSIBILITY: Final = " / "


def take_apart(draft: Draft) -> None:
    """Leave a title that is a library's without the material and the people that its record adds.

    The people are those behind a slash, where one of them is the author whom the row has.

    Raises:
        RowProblem: the material is no book.
    """
    title = draft["title"]
    if "[" in title and (material := _MATERIAL.search(title)):
        if material["no_book"]:
            raise RowProblem(
                f'Row {draft["row"]} is not a book: its title says "{material["no_book"]}".',
                row=draft["row"],
                title=title,
                field="title",
            )
        if material["book"].lower() != "text":
            draft.setdefault("format", material["book"])
        title = (title[: material.start()] + title[material.end() :]).strip().removesuffix(" :")
    if _RESPONSIBILITY in title and "authors" in draft:
        before, _, people = title.partition(_RESPONSIBILITY)
        named = text_key(people)
        if any(text_key(name.split()[-1]) in named for name in draft["authors"]):
            title = before
    draft["title"] = title.rstrip(" /") or draft["title"]
