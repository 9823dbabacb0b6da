"""What a row says of its reader's life with the book: every read, its state, whether and how often it is owned."""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Final

import msgspec

from shelfwire.books.bibliography import dates
from shelfwire.books.csv_import import values
from shelfwire.books.csv_import.imported_book import Read

Draft = dict[str, Any]
"""The attributes of an `ImportedBook` collected so far, by name; `row` is there from the beginning."""

LIFE: Final = "life"
"""The place in a draft of its `ReadingLife`, until `settle`."""
_OWNED: Final = "owned"
_RANGE: Final = re.compile(
    r"\s+(?:-|\u2013|\u2014|to|bis|until|à|a)\s+|\s*[\u2013\u2014→]\s*|(?<=\d)-(?=\d{4}/|\d{1,2}/\d{1,2}/\d|$)|^-"
)
_BETWEEN_READS: Final = re.compile(r"(?<=\b\d{4})\s*[,;]|[,;\n](?!\s*\d{4}(?![\d/.-]))")
"""What separates reads: not the comma of "March 3, 2021"."""
_PAGE: Final = re.compile(r"\d")
_YEAR_DIGITS: Final = 4
_LONGEST_DATE: Final = 10
"""Characters; a longer cell may be a range of dates."""
_MOST_COPIES: Final = 10_000


class ReadingLife:
    """What the cells of a row say, before it is put together.

    Attributes:
        started, finished, stopped: dates of their own columns, in their order.
        reads: reads of a column that lists them.
        state: the reading state that a column of yes and no, or of words, gives.
        owned: whether the reader has the book.
        wished: whether the reader wants to have it.
        was_read: whether the row counts a time that it was read.
        roles: what the secondary authors did, where a column of its own says so.
        first_name: the author's given name, likewise.
    """

    started: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    reads: tuple[Read, ...] = ()
    state: str | None = None
    owned: bool = False
    wished: bool = False
    was_read: bool = False
    roles: Sequence[str] = ()
    first_name: str = ""


def life_of(draft: Draft) -> ReadingLife:
    """The reading life in a draft."""
    life: ReadingLife | None = draft.get(LIFE)
    if life is None:
        life = draft[LIFE] = ReadingLife()
    return life


def settle(draft: Draft) -> None:
    """Put a row's reading life together: its reads, its last dates and its shelf.

    Nothing is invented: a date is of one read only, and a read that has no start has none. The state is what the row
    says, else what its dates prove: what was finished was read.
    """
    life: ReadingLife = draft.pop(LIFE)
    if len(life.finished) == 1 and not (life.reads or life.started or life.stopped):
        draft["dates_read"], draft["reads"] = _read_once(life.finished[0])
        draft["date_read"] = life.finished[0]
        if "shelf" not in draft and life.state is None:
            draft["shelf"] = "read"
    elif life.reads or life.finished or life.started or life.stopped:
        take_reads(_reads(life), draft)
    shelf = draft.get("shelf")
    if shelf in values.STATES and shelf != _OWNED and not (life.owned or life.wished):
        return
    if shelf is None or shelf == _OWNED:
        life.owned = life.owned or shelf == _OWNED
        if state := _state_of(life, draft):
            draft["shelf"] = state
    elif life.wished and shelf == "to-read":
        draft["shelf"] = "wishlist"
    elif life.state and shelf not in values.STATES:
        draft["shelf"] = life.state
        add_tags((shelf,), draft)
    if life.owned and draft.get("shelf") != _OWNED:
        add_tags((_OWNED,), draft)


def _state_of(life: ReadingLife, draft: Draft) -> str | None:
    """The state of a book on no shelf, as its row says, or its dates prove."""
    if life.state is not None:
        return "wishlist" if life.wished and life.state == "to-read" else life.state
    if reads := draft.get("reads"):
        last: Read = reads[-1]
        if last.finished or last.stopped:
            return "read" if last.finished else "did-not-finish"
    return "wishlist" if life.wished else _OWNED if life.owned else None


@lru_cache(maxsize=8192)
def _read_once(day: str) -> tuple[tuple[str], tuple[Read]]:
    """The dates and reads of a book that was read once, as most were."""
    return (day,), (Read(finished=day),)


def take_reads(reads: Sequence[Read], draft: Draft) -> None:
    """Take over the reads of a book, and what follows from them: its dates, those of the last read among them."""
    ordered = tuple(sorted(reads, key=_ending)) if len(reads) > 1 else tuple(reads)
    draft["reads"] = ordered
    if finished := tuple([read.finished for read in ordered if read.finished]):
        draft["dates_read"] = finished
        draft["date_read"] = finished[-1]
    if ordered[-1].started:
        draft["date_started"] = ordered[-1].started


def add_tags(names: tuple[str, ...], draft: Draft) -> None:
    """Add shelves or tags, each once, but for the shelf that the book is on."""
    shelf = draft.get("shelf")
    tags = {tag.casefold(): tag for tag in draft.get("tags", ())}
    for name in names:
        if shelf is None or shelf not in (name, values.known_shelf(name)):
            tags.setdefault(name.casefold(), name)
    if tags:
        draft["tags"] = tuple(tags.values())


def warn(draft: Draft, warning: str) -> None:
    """Say what could not be taken as given, for a person."""
    draft["warnings"] = (*draft.get("warnings", ()), warning)


def take_date(cell: str, draft: Draft, *, field: str, day_first: bool) -> None:
    """Read the dates of a column of its own; `field` is that of `ReadingLife`."""
    if len(cell) > _LONGEST_DATE and field == "finished" and (sides := range_of(cell, day_first=day_first)):
        _take_read(cell, sides, draft, day_first=day_first)
        return
    days = dates.parse_dates(cell, day_first=day_first)
    if not days and field == "finished" and (state := values.reading_state(cell)) and not state[1]:
        life_of(draft).state = state[0]  # "begun", in place of the date on which it will be finished
        return
    if not days and field == "finished" and values.yes_or_no(values.without_times(cell)[0]):
        take_answer(cell, draft, state="read", day_first=day_first)
        return
    if not days or len(days[0]) == _YEAR_DIGITS:
        days = dates_of(cell, draft, day_first=day_first)
        if not days:
            return
    life = life_of(draft)
    if found := getattr(life, field):
        days = (*found, *(day for day in days if day not in found))  # two columns may say the same
    setattr(life, field, days)


def dates_of(cell: str, draft: Draft, *, day_first: bool) -> tuple[str, ...]:
    """The dates of a cell, with a warning if it holds something else, or says less than a month."""
    days = dates.parse_dates(cell, day_first=day_first)
    if days:
        if len(days[0]) == _YEAR_DIGITS < len(cell) and dates.is_vague(cell):
            warn(draft, f'Of the date "{cell}" only the year was kept.')
        return days
    if day := dates.of_day_number(cell):
        return (day,)
    if not is_no_date(cell):
        warn(draft, f'The date "{cell}" was not understood.')
    return ()


def is_no_date(cell: str) -> bool:
    """Whether a cell says that there is no date: 0000-00-00, calibre's year 101, "-"."""
    return not cell.strip("0-/.: []T") or cell.startswith("0101-01-01") or values.is_nothing(cell)


def take_ranges(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read StoryGraph's `2022/01/03-2022/01/09, 2024/02/12`: reads with start and end; a date alone is an end.

    Of a book that is being read, and was never read before, it is the beginning.
    """
    if cell[0] == "[" and "{" in cell:
        _take_objects(cell, draft, day_first=day_first)
        return
    is_begun = draft.get("shelf") == "currently-reading" and not life_of(draft).was_read
    for part in _BETWEEN_READS.split(cell):
        start, found, end = _split(part.strip())
        if found:
            _take_read(part, (start, end), draft, day_first=day_first)
        elif start:
            _take_read(part, (start, "") if is_begun else ("", start), draft, day_first=day_first)


def _take_objects(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read `[{"start": "2022-01-02", "end": "2022-02-03"}]`: reads as JSON, whatever the dates are called."""
    try:
        reads = msgspec.json.decode(cell, type=list[dict[str, str | None]])
    except msgspec.DecodeError:
        warn(draft, f'The dates "{cell}" were not understood.')
        return
    for read in reads:
        start, end = (
            next((day for name, day in read.items() if day and name.casefold().startswith(stems)), "")
            for stems in (("start", "beg", "from"), ("end", "fin", "read", "compl", "to"))
        )
        _take_read(cell, (start or "", end or ""), draft, day_first=day_first)


def take_period(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read "March 3, 2021 → March 9, 2021"; one date alone is the beginning while the book is being read."""
    is_begun = draft.get("shelf") == "currently-reading"
    take_date(cell, draft, field="started" if is_begun else "finished", day_first=day_first)


def take_last_opened(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read when a device last opened a book: if it is read, then."""
    if draft.get("shelf") == "read":
        take_date(cell, draft, field="finished", day_first=day_first)
    elif days := dates_of(cell, draft, day_first=day_first):
        warn(draft, f"When it was last opened ({days[-1]}) was left out: that is no date on which it was finished.")


def take_readings(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read the `start|end|minutes;start|end|minutes` of Openreads, or `start,end;start,end`."""
    separator = "|" if "|" in cell else ","
    for part in cell.split(";"):
        start, found, rest = part.partition(separator)
        _take_read(cell, (start, rest.partition(separator)[0] if found else ""), draft, day_first=day_first)


def range_of(cell: str, *, day_first: bool) -> tuple[str, str] | None:
    """The two dates of a cell such as "March 3, 2021 → March 9, 2021"; None if it is no range of dates."""
    start, found, end = _split(cell)
    if found and all(dates.parse_date(side, day_first=day_first) for side in (start, end)):
        return start, end
    return dates.range_of_named(cell)


def _split(part: str) -> tuple[str, str, str]:
    """The two sides of a range, and what separates them."""
    found = _RANGE.search(part)
    if not found:
        return part, "", ""
    return part[: found.start()].strip(), found[0] or "-", part[found.end() :].strip()


def _take_read(cell: str, sides: tuple[str, str], draft: Draft, *, day_first: bool) -> None:
    start, end = (dates.parse_date(side.strip(), day_first=day_first) if side.strip() else None for side in sides)
    if start or end:
        life = life_of(draft)
        life.reads = (*life.reads, Read(started=start, finished=end))
    if any(side.strip() and not is_no_date(side.strip()) and not day for side, day in zip(sides, (start, end))):  # noqa: B905
        warn(draft, f'The dates "{cell}" were not understood.')


def take_state(cell: str, draft: Draft, *, day_first: bool) -> None:
    """Read a shelf: a reading state in any language, perhaps with a date; several; or one of the reader's own."""
    if "shelf" in draft:
        if draft["shelf"] != (values.known_shelf(cell) or cell):
            add_tags((cell,), draft)
        return
    if state := _state(cell, draft, day_first=day_first):
        draft["shelf"] = state
        return
    names = values.parse_tags(cell)
    states = [state for state in map(values.known_shelf, names) if state]
    if len(names) > 1 and states:
        take_states(names, states, draft)
        add_tags(tuple(name for name in names if not values.known_shelf(name)), draft)
    else:
        draft["shelf"] = cell


def take_remark(cell: str, draft: Draft) -> None:
    """Read a remark such as "abandoned" or "finished 3 May 2021", for which `values.reading_state` finds a state."""
    state, rest = values.reading_state(cell) or (None, "")
    life_of(draft).state = state
    days = dates.parse_dates(rest, day_first=True) if rest else ()
    if days and state == "read":
        _add_days(days, "finished", draft)
    elif rest:
        warn(draft, f'The date "{rest}" was not understood.')


def take_states(names: Collection[str], states: Collection[str], draft: Draft) -> None:
    """Read the states of a book on several shelves: one counts, and that the book is owned is kept beside it.

    Args:
        names: of the shelves.
        states: of those that stand for one.
        draft: the draft.
    """
    draft.setdefault("shelf", min(states, key=values.STATES.index))
    if _OWNED in states and not any("unowned" in name.casefold() for name in names):
        life_of(draft).owned = True


def _state(cell: str, draft: Draft, *, day_first: bool) -> str | None:
    """The state in a cell; its date is taken over."""
    if (found := values.reading_state(cell)) is None:
        return None
    state, rest = found
    if not _take_times(cell, state, draft) and not rest and ("%" in cell or _PAGE.search(cell)):
        warn(draft, f'How far it was read was left out: "{cell}".')
    if rest:
        days = dates.parse_dates(rest, day_first=day_first)
        if not days:
            return None
        field = {"read": "finished", "did-not-finish": "stopped", "currently-reading": "started"}.get(state)
        if field:
            _add_days(days, field, draft)
    return state


def _take_times(cell: str, state: str, draft: Draft) -> bool:
    """Take over how often a book was read, and return whether the cell says so."""
    times = values.without_times(cell)[1]
    if state != "read" or times <= 1:
        return False
    draft.setdefault("read_count", times)
    return True


def _add_days(days: tuple[str, ...], field: str, draft: Draft) -> None:
    life = life_of(draft)
    setattr(life, field, (*getattr(life, field), *days))


def take_answer(cell: str, draft: Draft, *, state: str, day_first: bool) -> None:
    """Read a column such as "Read?", whose cells are yes or no, a date, or a state in words.

    Args:
        cell: the cell.
        draft: the draft.
        state: what yes means.
        day_first: see `dates.parse_date`.
    """
    answer = values.yes_or_no(values.without_times(cell)[0])
    if answer is False or values.is_nothing(cell):
        return
    if answer:
        life_of(draft).state = state
        _take_times(cell, state, draft)
    elif found := _state(cell, draft, day_first=day_first):
        life_of(draft).state = found
    elif sides := range_of(cell, day_first=day_first):
        _take_read(cell, sides, draft, day_first=day_first)
    elif not _PAGE.search(cell):
        warn(draft, f'"{cell}" was not understood: it is neither yes nor no, nor a reading state that is known.')
    elif days := dates_of(cell, draft, day_first=day_first):
        field = {"read": "finished", "did-not-finish": "stopped"}.get(state, "started")
        _add_days(days, field, draft)


def take_owned(cell: str, draft: Draft) -> None:
    """Read whether the book is owned, or how many copies of it."""
    number = cell.removesuffix(".0")
    if number.isdecimal():
        count = int(number[:9])
        if 1 < count <= _MOST_COPIES:
            draft["copies"] = count
        owned: bool | None = count > 0
    else:
        owned = values.yes_or_no(cell)
        if owned is None and not values.is_nothing(cell):
            owned = values.known_shelf(cell) == "owned"
            if not owned:
                add_tags((cell,), draft)
    if owned:
        if "shelf" in draft:
            add_tags(("owned",), draft)
        else:
            life_of(draft).owned = True


def take_copies(cell: str, draft: Draft) -> None:
    """Read the number of copies that the reader has; more than one is worth saying."""
    number = cell.removesuffix(".0")
    if number.isdecimal() and 0 < int(number[:9]) <= _MOST_COPIES:
        draft["copies"] = int(number[:9])


def take_wish(cell: str, draft: Draft) -> None:
    """Read whether the book is on a wish list."""
    if values.yes_or_no(cell) or values.known_shelf(cell) == "wishlist":
        life_of(draft).wished = True


def _reads(life: ReadingLife) -> list[Read]:
    """The reads that the columns of a row amount to."""
    finished = _new(life.finished, {read.finished for read in life.reads})
    started = _new(life.started, {read.started for read in life.reads})
    reads = [*life.reads]
    for start, end in zip(*_paired(started, finished), strict=True):
        reads.append(Read(started=start, finished=end))
    for day in reversed(life.stopped):
        open_read = next((read for read in reversed(reads) if not read.finished and not read.stopped), None)
        if open_read is not None and (open_read.started or "") <= day:
            reads[reads.index(open_read)] = Read(started=open_read.started, stopped=day)
        else:
            reads.append(Read(stopped=day))
    return reads


def _new(days: tuple[str, ...], known: set[str | None]) -> tuple[str, ...]:
    return tuple(day for day in days if not _is_known(day, known)) if known else days


def _is_known(day: str, known: set[str | None]) -> bool:
    return any(other and (other.startswith(day) or day.startswith(other)) for other in known)


def _paired(started: Sequence[str], finished: Sequence[str]) -> tuple[Sequence[str | None], Sequence[str | None]]:
    """Starts and ends of the same length: each end has the start that is its own, from the last on."""
    if len(started) == len(finished) == 1:
        if started[0] > finished[0] and not started[0].startswith(finished[0]):
            return [None, started[0]], [finished[0], None]  # it is being read again
        return started, finished
    pairs = list(zip_longest(reversed(started), reversed(finished)))
    return [start for start, _ in reversed(pairs)], [end for _, end in reversed(pairs)]


def _ending(read: Read) -> str:
    """When a read ended, or began if it has no end, to put reads in order."""
    return read.finished or read.stopped or read.started or ""


def merged(reads: Sequence[Read]) -> tuple[Read, ...]:
    """The reads of several rows of one book: each once, in the order of their dates."""
    return tuple(sorted(dict.fromkeys(reads), key=_ending))


def with_own(read: Read, rating: float | None, review: str | None) -> Read:
    """A read with the rating and the review that the row has which tells of it."""
    return msgspec.structs.replace(read, rating=rating, review=review)
