"""Rows of a list that are no books: headings of its sections, and sums and remarks below it."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from shelfwire.books.bibliography import dates
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.joined_titles import is_name

_SUM: Final = (
    r"(?:grand |sub ?)?(?:totals?|sum|average|avg|mean|count|gesamt\w*|summe|insgesamt|durchschnitt|anzahl|moyenne"
    r"|somme|media|média|suma|soma|totale|totaal|gemiddelde?|totalt|summa|i alt|yhteensä|összesen|átlag|celkem|průměr"
    r"|razem|łącznie|średnia|toplam|ortalama|итого|всего|среднее|разом|усього|σύνολο|合計|総計|平均|总计|合计|합계|المجموع)"
)
_COUNTED: Final = (
    r"(?:books?|titles?|pages?|volumes?|works?|ratings?|read|finished|books? read|bücher|seiten|titel|gelesen|livres?"
    r"|lus?|pages? lues|libros?|páginas|libri|pagine|livros?|boeken|böcker|bøger|bøker|kirjaa|könyv|knih|książek|kitap"
    r"|cărți|книг|страниц|cost|price|value)"
)
_OF: Final = r"(?:of |number of |no\. of |# of |von |de |number |)"
_TOTAL: Final = re.compile(
    rf"{_SUM}(?:[\s:]+{_OF}{_COUNTED})*\s*[:=]?\s*[\d.,' ]*"
    rf"|{_COUNTED}(?: {_COUNTED})?\s*[:=]\s*[\d.,]+"
    rf"|number of {_COUNTED}(?: read)?\s*[:=]?\s*[\d.,]*"
    rf"|[\d.,]+ {_COUNTED}(?: {_COUNTED})?",
    re.IGNORECASE,
)
_FOOTER: Final = re.compile(
    r"(?:exported|generated|created|printed|updated|last updated|erstellt|exportiert|gedruckt|exporté|généré|exportado"
    r"|esportato|geëxporteerd|wygenerowano)\b(?=.*(?:\d{4}|\b(?:by|with|from|mit|von|avec|par|con)\b)).{0,100}",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(
    r"[\W_]*(?:(?:i|my|the|all|books?|read|reading|list|finished|bücher|gelesen\w*|leseliste|lus?|livres|leídos|libros"
    r"|letti|libri|lidos|livros|boeken|gelezen|böcker|lästa|lecturas?|lectures?|letture|leituras?|leeslijst|lista de"
    r"|mis|mes|meine|mijn|mina|le mie|minhas|przeczytane|książki|прочитано|книги|okuduklar\w+|tbr"
    r"|to-read|wishlist|challenge|reads|log|journal|tracker|club|in|en|im|of"
    r"|year)[ :-]+){0,5}(?:19|20)\d\d[\W_]*"
    r"(?:\(.*\)[\W_]*)?",
    re.IGNORECASE,
)
_YEAR_IN_TEXT: Final = re.compile(r"(?:19|20)\d\d")
_DECORATION: Final = re.compile(r"^[\W_]+|[\W_]+$")
_LONGEST: Final = 40
_ENOUGH: Final = 2


def is_sum(title: str) -> bool:
    """Whether a title is none but a sum such as "Total books: 12", or says when the list was made."""
    bare = title.strip()
    return (len(title) <= _LONGEST and _TOTAL.fullmatch(bare) is not None) or _FOOTER.fullmatch(bare) is not None


def is_heading(title: str) -> bool:
    """Whether a title that is alone in its row may be the heading of a section: a year, a month, or "To read:"."""
    if len(title) > _LONGEST:
        return False
    if _YEAR.fullmatch(title.strip()) or title.rstrip().endswith(":"):
        return True
    bare = _DECORATION.sub("", title)
    if values.known_shelf(bare):
        return True
    return dates.is_month(bare) or (
        bare[-4:].isdecimal() and len(dates.parse_date(bare, day_first=True) or "") in (4, 7)
    )


class Section(NamedTuple):
    """What the heading of a section says of the books below it.

    Attributes:
        date: when they were read.
        state: their reading state.
        author: who wrote them.
    """

    date: str | None = None
    state: str | None = None
    author: str | None = None


def section_of(heading: str) -> Section:
    """What a heading says: "Read in 2019", "To read:", "Jane Austen:"."""
    bare = _DECORATION.sub("", heading)
    if day := date_of_heading(heading):
        return Section(date=day)
    if state := values.known_shelf(bare):
        return Section(state=state)
    return Section(author=bare if heading.rstrip().endswith(":") and is_name(bare) else None)


def date_of_heading(title: str) -> str | None:
    """The year, or the month of a year, that a heading names; None if it names none."""
    bare = _DECORATION.sub("", title)
    day = dates.parse_date(bare, day_first=True) or ""
    if len(day) in (4, 7):
        return day
    year = _YEAR_IN_TEXT.search(title) if _YEAR.fullmatch(title.strip()) else None
    return None if year is None else year[0]


def has_headings(rows: Sequence[Sequence[str]], title: int, *, of_one_column: bool = False) -> bool:
    """Whether a list has headings of sections: rows with a text in the column of titles or the first alone.

    Args:
        rows: of the list, from its beginning.
        title: the column of titles.
        of_one_column: whether the list has no other; its headings end with a colon, and repeatedly.
    """
    if of_one_column:
        return sum(cell.rstrip().endswith(":") for row in rows for cell in row[:1]) >= _ENOUGH
    found = []
    for place, row in enumerate(rows):
        filled = [cell for cell in row if cell.strip()]
        if len(filled) == 1 and is_heading(filled[0]) and (row[0].strip() or row[title : title + 1] == filled):
            found.append(place)
    return len(found) >= _ENOUGH or found[:1] == [0]
