"""What a column is taken for: what its name says, and what its cells look like."""

import pytest

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.column_plan import map_columns
from shelfwire.books.csv_import.problems import UnreadableCsv


def fields(header: str, *rows: str) -> dict[str, str]:
    columns = map_columns(header.split(","), [row.split(",") for row in rows])
    return {columns.names[index]: field for index, field in columns.fields}


def doubts(header: str, *rows: str) -> tuple[str, ...]:
    return map_columns(header.split(","), [row.split(",") for row in rows]).doubts


@pytest.mark.parametrize(
    ("name", "cells", "field"),
    [
        ("Start", ("2020-01-02", "2020-02-03"), "date_started"),
        ("Start", ("B12", "B13"), None),
        ("Store", ("Corner Books", "Online"), None),
        ("bookshelf_id", ("2,", "1,2,"), None),
        ("Is Finished?", ("True", "False"), "is_read"),
        ("Finished", ("yes", "no"), "is_read"),
        ("Finished", ("2020-01-02", "2020-02-03"), "date_read"),
        ("Read", ("2019-01-03", ""), "is_read"),
        ("Status", ("yes", "no"), "is_read"),
        ("Score /5", ("4", "5"), "rating"),
        ("Rating (1-10)", ("8", "9"), "rating"),
        ("Date finished 2", ("2020-01-02", "2020-02-03"), "date_read"),
        ("Review date", ("2020-01-02", "2020-02-03"), None),
        ("Book #", ("1", "2"), "series_index"),
        ("Pubisher", ("Heron", "Field"), "publisher"),
        ("Pubisher", ("2020-01-02", "2020-02-03"), None),
        ("Who knows", ("9780441013593", "9780141439587"), "isbn"),
        ("Who knows", ("finished", "to read"), "shelf"),
    ],
)
def test_a_column_is_what_its_name_and_its_cells_say(name: str, cells: tuple[str, ...], field: str | None) -> None:
    found = fields(f"Title,Author,{name}", *(f"Title {number},Ann Orr,{cell}" for number, cell in enumerate(cells)))
    assert found.get(name) == field


def test_the_readers_own_mark_is_never_that_of_all_readers() -> None:
    assert fields("Title,rating,My Rating", "A,4.12,5", "B,3.87,4") == {"Title": "title", "My Rating": "rating"}
    assert fields("Title,rating,num_ratings", "A,4.7,120", "B,3.9,3") == {"Title": "title"}
    assert fields("Title,rating", "A,4.13", "B,3.87", "C,3.99") == {"Title": "title"}
    assert fields("Title,rating", "A,4.5", "B,4", "C,3.25")["rating"] == "rating"


def test_doubt_is_told_in_plain_words() -> None:
    (doubt,) = doubts("Title,Author,Finished on", "A,B,Corner Books", "C,D,Online")
    assert doubt.startswith(
        'The column "Finished on" was not used for the date read: its cells, such as "Corner Books"'
    )
    assert doubts("Title,Author,Date Read", "A,B,yes", "C,D,no") == ()
    assert doubts("Title,Author,Date Added", "A,B,yes", "C,D,no") == (
        'The column "Date Added" was not used for the date added: its cells, such as "yes", do not look like that.',
    )
    assert doubts("Title,Auther", "A,Ann Orr") == ('The column "Auther" was taken for the author.',)
    assert doubts("Title,Author,Dates", "A,B,1815", "C,D,1980-1991") == (
        'The column "Dates" was not used for the reads: its cells, such as "1815", do not look like that.',
    )
    assert doubts("Title,Read?", "A,3/4/2021", "B,13/4/2021", "C,no") == ()
    assert doubts("Title,Wordsmith", "A,Ann Orr") == ("None of the columns was taken for the author.",)
    assert doubts("Book,Year", "Dune by Frank Herbert,1965", "Stand by Me,1986", "Emma by Jane Austen,1815") == (
        'The column "Book" was taken for the title and the author, as in "Dune by Frank Herbert".',
    )


def test_an_export_takes_columns_that_somebody_added_to_it() -> None:
    header = "authors,author_sort,title_sort,library_name,title,#read,#readdate,#pages,#shop"
    row = "Ann Orr,x,x,Lib,A,True,2022-03-10T00:00:00+00:00,412,Corner Books"
    assert {"#read": "is_read", "#readdate": "date_read", "#pages": "pages"}.items() <= fields(header, row).items()
    assert "#shop" not in fields(header, row)


def test_a_header_that_is_one_short_leaves_the_column_without_a_name_where_the_others_fit() -> None:
    file = BookFile(b"Title,Author,ISBN,Rating\n0,Emma,Ann Orr,9780441013593,4\n1,Dune,Tim Hult,9780141439587,5\n")
    assert file.columns == ("", "Title", "Author", "ISBN", "Rating")
    assert [file.book(raw).rating for raw in file.rows()] == [4, 5]
    assert "The header names 4 columns, and the rows have 5 cells" in file.plan().warnings[0]


def test_what_a_person_says_goes_before_what_was_found() -> None:
    file = BookFile(b"Title,Author,Rating,Score\nEmma,Ann Orr,3,9\n")
    file.correct({"Score": "rating", "4": "rating", "rating": "ignore"})
    (book,) = [file.book(raw) for raw in file.rows()]
    assert book.rating == 4.5
    assert {column.column: column.by for column in file.plan().columns}["Score"] == "person"
    with pytest.raises(UnreadableCsv, match='no column "Mark"'):
        file.correct({"Mark": "rating"})


def test_columns_that_hold_the_same_thing_otherwise_are_not_lost_in_silence() -> None:
    file = BookFile(b"Title,Publisher,Imprint\nEmma,Heron,Field\nDune,,Lake\n")
    assert [file.book(raw).publisher for raw in file.rows()] == ["Heron", "Lake"]
    assert [file.columns[index] for index in file.unused] == ["Imprint"]
