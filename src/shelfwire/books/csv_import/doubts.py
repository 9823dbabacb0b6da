"""What is guessed of how the cells of a column are read, in sentences for a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shelfwire.books.bibliography import dates
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.fields import WITH_DATES

_MOST_SHOWN: Final = 40
_MOST_NAMED: Final = 3


def doubts_of(
    names: Sequence[str], fields: Mapping[int, str], cells: Mapping[int, Sequence[str]], *, month_first: bool
) -> Iterator[str]:
    """What a person should know of dates and marks that can be read in several ways.

    Args:
        names: of the columns.
        fields: by column.
        cells: of each column, some that are not blank.
        month_first: whether unclear dates are read as month, day, year.
    """
    dated = [cell for index, field in fields.items() if field in WITH_DATES for cell in cells[index]]
    if example := dates.unclear_order(dated):
        order = "month, day, year" if month_first else "day, month, year"
        yield f'Dates such as "{example}" were read as {order}; nothing in the file shows the order.'
    if example := dates.unclear_order(dated, "-"):
        yield f'Dates such as "{example}" were read as day, month, year; nothing in the file shows the order.'
    if number := next((cell for cell in dated if dates.of_day_number(cell)), None):
        yield f'Numbers such as "{number}" were read as the days of a spreadsheet: {dates.of_day_number(number)}.'
    for index, field in fields.items():
        if field == "rating":
            yield from _of_marks(names[index], cells[index])
        elif field == "shelf":
            yield from _of_states(names[index], cells[index])


def _of_states(name: str, cells: Sequence[str]) -> Iterator[str]:
    """What stands among reading states and is none that is known: a word for one, or a shelf of the reader's own."""
    distinct = list(dict.fromkeys(filter(None, map(str.strip, cells))))
    others = [cell for cell in distinct if not _is_known_state(cell)]
    if others:
        shown = ", ".join(f'"{cell[:_MOST_SHOWN]}"' for cell in others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        yield f'In the column "{name}" no reading state is known for {shown}{more}: kept as shelves of these names.'


def _is_known_state(cell: str) -> bool:
    if values.reading_state(cell) or values.is_nothing(cell):
        return True
    return any(map(values.known_shelf, values.parse_tags(cell)))


def _of_marks(name: str, cells: Sequence[str]) -> Iterator[str]:
    if letter := next(filter(values.is_in_letters, cells), None):
        stars = values.parse_rating(letter)
        yield f'The letters of the column "{name}" were read as stars, from A (5) to F (1): "{letter}" is {stars:g}.'
    if word := next(filter(values.is_in_words, cells), None):
        stars = values.parse_rating(word)
        yield f'The words of the column "{name}" were read as stars: "{word[:_MOST_SHOWN]}" is {stars:g}.'
    scale = values.rating_scale(cells)
    if scale != values.STARS and values.scale_in_name(name) is None:
        yield (
            f'The marks of the column "{name}" were taken for ones of {scale}, and divided by {scale // values.STARS}.'
        )
