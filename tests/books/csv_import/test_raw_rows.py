import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.csv_import.raw_rows import MAX_CHARACTERS, RawRow, raw_rows

Shown = list[tuple[int, list[str] | None]]


def read(text: str, width: int = 2, delimiter: str = ",") -> Shown:
    return [shown(row) for row in raw_rows(text, delimiter=delimiter, width=width)]


def shown(row: RawRow) -> tuple[int, list[str] | None]:
    return row.row, None if row.problem else list(row.cells)


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    text = 'a,b\n\n"two\nlines",c\n,,\nd,e'
    assert read(text) == [(1, ["a", "b"]), (3, ["two\nlines", "c"]), (5, ["d", "e"])]


def test_lines_of_delimiters_and_white_space_are_no_rows() -> None:
    assert read("a,b\n , ,\n\t\n\u3000,\xa0\nc,d\n ") == [(1, ["a", "b"]), (5, ["c", "d"])]


def test_a_million_empty_rows_of_a_sheet_are_counted_and_skipped() -> None:
    text = "a,b\n" + ",,,\n" * 100_000 + "c,d\n" + ",,,\n" * 100_000
    assert read(text) == [(1, ["a", "b"]), (100_002, ["c", "d"])]


def test_one_huge_line_of_delimiters_is_no_row() -> None:
    assert read("a,b\n" + "," * 300_000 + "\nc,d") == [(1, ["a", "b"]), (3, ["c", "d"])]
    assert read("," * 300_000) == []


def test_a_space_before_a_quotation_mark_is_no_part_of_the_cell() -> None:
    assert read('Dune, "Herbert, Frank"') == [(1, ["Dune", "Herbert, Frank"])]


def test_an_unclosed_quotation_mark_costs_one_row_only() -> None:
    rows = list(raw_rows('a,b\nUlysses,"oops\nBeloved,c\nEmma,d', delimiter=",", width=2))
    assert [shown(row) for row in rows] == [(1, ["a", "b"]), (2, None), (3, ["Beloved", "c"]), (4, ["Emma", "d"])]
    assert rows[1].problem == (
        "A quotation mark opened in row 2 is never closed. Close it or remove it, and import the file again."
    )


def test_a_mark_after_a_misplaced_one_may_stay_unclosed_too() -> None:
    assert read('a,b\n"x"y,"oops\nc,d') == [(1, ["a", "b"]), (2, None), (3, ["c", "d"])]


def test_rows_swallowed_by_the_quotation_mark_of_a_later_row_come_back() -> None:
    text = 'a,b\nUlysses,"oops\nBeloved,c\n"Emma, a novel",d\ne,f'
    assert read(text) == [
        (1, ["a", "b"]),
        (2, None),
        (3, ["Beloved", "c"]),
        (4, ["Emma, a novel", "d"]),
        (5, ["e", "f"]),
    ]


def test_the_row_that_closed_a_stray_quotation_mark_may_have_a_cell_of_two_lines() -> None:
    text = 'a,b\nUlysses,"oops\nx,y\nBeloved,"nice\nbook"\ne,f'
    assert read(text) == [
        (1, ["a", "b"]),
        (2, None),
        (3, ["x", "y"]),
        (4, ["Beloved", "nice\nbook"]),
        (5, ["e", "f"]),
    ]


def test_quotation_marks_within_a_quotation_do_not_split_a_review() -> None:
    text = 'a,b,c\nDune,"Great.\nHe said "hi" and left",5\nx,y,z'
    assert read(text, width=3) == [
        (1, ["a", "b", "c"]),
        (2, ["Dune", 'Great.\nHe said hi" and left"', "5"]),
        (3, ["x", "y", "z"]),
    ]


def test_quotation_marks_in_tab_separated_rows_may_be_text() -> None:
    assert read('a\tb\n"Dune\tHerbert\nc\td', delimiter="\t") == [
        (1, ["a", "b"]),
        (2, ['"Dune', "Herbert"]),
        (3, ["c", "d"]),
    ]


def test_a_single_column_of_broken_titles_is_read_line_by_line() -> None:
    assert read('Title\n"Broken\n\n"Fine"\nDune', width=1) == [(1, ["Title"]), (2, None), (4, ["Fine"]), (5, ["Dune"])]


def test_a_cell_of_a_million_characters_is_read() -> None:
    long = "x" * 1_000_000
    assert read(f'a,"{long}"\nb,c') == [(1, ["a", long]), (2, ["b", "c"])]
    assert read(f'a,"\n{long}"\nb,c') == [(1, ["a", f"\n{long}"]), (2, ["b", "c"])]


@pytest.mark.parametrize("line", ["x" * (MAX_CHARACTERS + 1), "a," * 20_000, '"a",' * 20_000, "a," * 220_000])
def test_a_row_beyond_all_bounds_is_one_bad_row(line: str) -> None:
    assert read(f"{line}\nb,c") == [(1, None), (2, ["b", "c"])]


def test_a_record_of_too_many_lines_is_given_up() -> None:
    rows = read('a,"' + "x\n" * 6_000 + '"\nb,c')
    assert rows[0] == (1, None)
    assert rows[-1] == (6_002, ["b", "c"])


def test_a_record_with_too_many_cells_over_its_lines_is_given_up() -> None:
    rows = read(('"\n"' + "," * 120_000) * 3 + "\nb,c")
    assert rows[0] == (1, None)
    assert rows[-1] == (5, ["b", "c"])


@pytest.mark.parametrize(
    "text",
    [
        '"' * 1_000_000,
        '"abc\n' * 20_000,
        'a","b\n' * 20_000,
        '"""\n' * 20_000,
        '"abc\n"abc,d\n' * 10_000,
        '"' + "abc,def\n" * 20_000,
        "\n" * 1_000_000,
        ",\n,,\n" * 200_000,
    ],
)
def test_no_step_takes_long_and_the_whole_stays_linear(text: str) -> None:
    started = time.process_time()
    for _ in raw_rows(text, delimiter=",", width=2):
        pass
    assert time.process_time() - started < 5  # a quadratic reader takes minutes


cells = st.text(alphabet='ab", \n\té', max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=4), max_size=6))
def test_what_the_standard_library_writes_is_read_back(table: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    assert read(out.getvalue(), width=3) == [(number, row) for number, row in enumerate(table, 1)]


@given(st.text(alphabet='a",\n \t', max_size=60), st.integers(1, 3))
def test_no_line_of_any_text_is_lost(text: str, width: int) -> None:
    rows = list(raw_rows(text, delimiter=",", width=width))
    assert [row.row for row in rows] == sorted({row.row for row in rows})
    assert rows == list(raw_rows(text, delimiter=",", width=width))
    if not any(row.problem for row in rows):
        letters = sum(cell.count("a") for row in rows for cell in row.cells)
        assert letters == text.count("a")
