import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.export_formats import EXPORT_FORMATS
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RowProblem, UnreadableCsv
from shelfwire.books.csv_import.values import reading_state
from shelfwire.books.csv_import.verdicts import verdicts


def books(text: str) -> list[ImportedBook]:
    file = BookFile(text.encode())
    return [file.book(raw) for raw in file.rows()]


def only(text: str) -> dict[str, object]:
    (book,) = books(text)
    found: dict[str, object] = json.loads(msgspec.json.encode(book))
    return found


def problem(text: str) -> RowProblem:
    with pytest.raises(RowProblem) as refused:
        books(text)
    return refused.value


def outcomes(file: BookFile) -> list[bytes | str]:
    found: list[bytes | str] = []
    for raw in file.rows():
        try:
            found.append(msgspec.json.encode(file.book(raw)))
        except RowProblem as refused:
            found.append(f"row {refused.row}, {refused.title}: {refused}")
    return found


def titles(file: BookFile) -> list[str]:
    return [file.book(raw).title for raw in file.rows()]


# What each export looks like.


def test_goodreads_gives_isbns_in_formulas_and_shelves() -> None:
    assert only(
        "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,"
        "Number of Pages,Year Published,Original Publication Year,Date Read,Date Added,Bookshelves,"
        "Bookshelves with positions,Exclusive Shelf,My Review,Spoiler,Private Notes,Read Count,Owned Copies\n"
        '42,"Gideon the Ninth (The Locked Tomb, #1)",Tamsyn  Muir,"Muir, Tamsyn",Moira Quirk,"=""1250313198""",'
        '"=""9781250313195""",4,4.17,Tor,Kindle Edition,448,2020,2019,2023/02/11,2023/01/30,"to-read, sapphic, dnf",'
        '"to-read (#88)",dnf,"Great.<br/>Bones, bones.",,lent to Zoë,0,0\n'
    ) == {
        "title": "Gideon the Ninth (The Locked Tomb, #1)",
        "series": "The Locked Tomb #1",
        "authors": ["Tamsyn Muir", "Moira Quirk"],
        "isbn13": "9781250313195",
        "isbn10": "1250313198",
        "rating": 4,
        "publisher": "Tor",
        "format": "Kindle Edition",
        "pages": 448,
        "year": 2020,
        "originalYear": 2019,
        "dateRead": "2023-02-11",
        "datesRead": ["2023-02-11"],
        "reads": [{"finished": "2023-02-11"}],
        "dateAdded": "2023-01-30",
        "shelf": "did-not-finish",
        "tags": ["to-read", "sapphic"],
        "review": "Great.\nBones, bones.",
        "notes": "lent to Zoë",
        "identifiers": {"goodreads": "42"},
        "row": 2,
    }


def test_goodreads_rating_of_zero_means_no_rating() -> None:
    header = "Title,Author,Author l-f,My Rating,Exclusive Shelf,ISBN\n"
    book = only(header + 'Dune,Frank Herbert,"Herbert, Frank",0,to-read,"="""""\n')
    assert book == {"title": "Dune", "authors": ["Frank Herbert"], "shelf": "to-read", "row": 2}


def test_storygraph_gives_ranges_of_dates_and_other_identifiers() -> None:
    header = "Title,Authors,Contributors,ISBN/UID,Read Status,Last Date Read,Dates Read,Star Rating,Tags,Owned?\n"
    rows = (
        'A,"X, Y",Z (Narrator),9781635575637,read,,"2022/01/03-2022/01/09, 2024/02/12-2024/02/20",4.75,owned,Yes\n'
        "B,X,,B06XXX9DY7,paused,,2023/07/01-,0.25,,No\n"
        "C,,,6e1f1d5e-8a0c-4b6e-9f6f-2f1f7b1d9a11,,,,,,Yes\n"
    )
    first, second, third = books(header + rows)
    assert (first.date_started, first.date_read, first.rating) == ("2024-02-12", "2024-02-20", 4.75)
    assert (first.authors, first.tags, first.shelf) == (("X", "Y"), ("owned",), "read")
    assert (second.identifiers, second.shelf, second.date_started) == ({"asin": "B06XXX9DY7"}, "paused", "2023-07-01")
    assert third.identifiers == {"storygraph": "6e1f1d5e-8a0c-4b6e-9f6f-2f1f7b1d9a11"}
    assert (third.shelf, third.warnings) == ("owned", ())


def test_librarything_gives_brackets_and_inverted_names() -> None:
    header = (
        "Title\tSort Character\tPrimary Author\tSecondary Author\tSecondary Author Roles\tPublication\tDate\tReview\t"
        "Comment\tPrivate Comment\tDate Read\tCollections\tISBN\tISBNs\tEntry Date\tTags\n"
    )
    first, second = books(
        header + "Marelle\t1\tCortázar, Julio\tSomeone, Else|Other, Person\tEditor|\tGallimard (1979), Poche\t\t"
        "bon[return]relire\tmine\tsecret\t[2007-05-08]\tYour library, Read but unowned, Attic\t[2070291340]\t"
        "2070291340, 9782070291342\t[2006-08-09]\troman, novel\n"
        '"The ""Maître"" d\'hôtel"\t1\tAnonymous\t\tEditor\t(1989)\t\t\t\t\t\tAttic\t[]\t\t\t\n'
    )
    assert (first.authors, first.publisher, first.year) == (("Julio Cortázar", "Person Other"), "Gallimard", 1979)
    assert (first.isbn13, first.date_read, first.shelf) == ("9782070291342", "2007-05-08", "read")
    assert (first.tags, first.review, first.notes) == (("Attic", "roman", "novel"), "bon\nrelire", "mine\n\nsecret")
    assert second.tags == ("Attic",)
    assert (second.title, second.authors, second.publisher) == ('The "Maître" d\'hôtel', ("Anonymous",), None)


def test_calibre_gives_identifiers_and_undefined_dates() -> None:
    header = "authors,author_sort,rating,library_name,timestamp,formats,isbn,identifiers,tags,series,series_index,"
    header += "languages,title,title_sort,publisher,pubdate\n"
    first, second = books(
        header + '"Terry Pratchett & Neil Gaiman",x,4,L,2021-01-19T22:41:16+01:00,epub,,"goodreads:12067, '
        'isbn:9780552171892, x",Fantasy,Discworld,2.0,eng,Good Omens,x,Corgi,1990-05-01T01:00:00+01:00\n'
        "Unknown,Unknown,,L,,pdf,,,,,1.0,und,scan,scan,,0101-01-01T00:00:00+00:00\n"
    )
    assert first.authors == ("Terry Pratchett", "Neil Gaiman")
    assert (first.isbn13, first.identifiers, first.series) == ("9780552171892", {"goodreads": "12067"}, "Discworld #2")
    assert second == ImportedBook(title="scan", authors=(), format="pdf", row=3)


def test_a_film_in_a_libib_list_is_a_failed_row_with_its_title() -> None:
    header = "item_type,title,creators,ean_isbn13,upc_isbn10,status\n"
    assert books(header + "book,Emma,Jane Austen,,,Not Begun\n")[0].shelf == "to-read"
    refused = problem(header + "movie,Arrival,Denis Villeneuve,,,\n")
    assert (str(refused), refused.row, refused.title) == (
        'Row 2 is not a book: its type is "movie".',
        2,
        "Arrival",
    )


def test_bookbuddy_tells_a_wish_from_a_possession() -> None:
    header = 'Title,Author,"Author (Last, First)",Length,Status,Wish List,Google VolumeID\n'
    first, second, third = books(header + 'A,X,,352,Unread,1,g1\nB,,"Muir, T.",,Read,1,\nC,,,,,0,\n')
    assert (first.shelf, first.pages, first.identifiers) == ("wishlist", 352, {"google": "g1"})
    assert (second.shelf, second.authors) == ("read", ("T. Muir",))
    assert third.shelf is None


def test_hardcover_gives_several_reads_in_a_cell() -> None:
    header = "Title,Author,Status,Date Finished,Owned,Lists,ISBN 10,ISBN 13,Hardcover Book ID\n"
    book = only(header + 'A,"M, S (Translator)",Want to Read,"2020-02-01, 2024-03-09",2,"Owned, Best (#3)",,,0\n')
    assert book == {
        "title": "A", "authors": ["M"], "shelf": "to-read", "dateRead": "2024-03-09", "tags": ["owned", "Best"],
        "row": 2, "copies": 2, "datesRead": ["2020-02-01", "2024-03-09"],
        "warnings": ["Left out, as none of its authors: S (Translator)."],
        "reads": [{"finished": "2020-02-01"}, {"finished": "2024-03-09"}],
    }  # fmt: skip


def test_open_library_gives_identifiers_only() -> None:
    header = "Work Id,Edition Id,Bookshelf\n"
    first, second = books(header + "OL1W,,Already Read\nOL2W,OL3M,Currently RowReading\n")
    assert (first.title, first.shelf) == ("OL1W", "read")
    assert (second.title, second.identifiers) == ("OL3M", {"openlibrary": "OL3M", "openlibraryWork": "OL2W"})


def test_openreads_gives_readings() -> None:
    header = "title,author,status,rating,my_review,book_format,readings,tags,date_added\n"
    (book,) = books(header + "A,X,finished,4.5,,ebook,2023-01-01||;2024-01-01T00:00|2024-01-09T00:00|60,a|||||b,\n")
    assert (book.date_started, book.date_read, book.tags) == ("2024-01-01", "2024-01-09", ("a", "b"))


def test_bookwyrm_names_the_readers_own_shelves() -> None:
    header = "title,author_text,remote_id,shelf,shelf_name,isbn_13\n"
    first, second = books(header + "A,X,u,cooking-9,Cooking,\nB,X,u,to-read,Zu lesen,\n")
    assert (first.shelf, second.shelf) == ("Cooking", "to-read")


def test_babelio_puts_the_surname_first() -> None:
    text = (
        '"ISBN";"Titre";"Auteur";"Editeur";"Date de publication";"Date d`entrée dans Babelio";"Statut";"Note"\r\n'
        '"2070360024";"L\'étranger; roman";"Camus Albert";"Gallimard";"0000-00-00";"2013-07-02 22:12:45";"Lu";"0.0"\r\n'
    )
    file = BookFile(text.encode("cp1252"))
    assert (file.source, file.encoding, file.delimiter) == ("babelio", "cp1252", ";")
    (book,) = [file.book(raw) for raw in file.rows()]
    assert (book.authors, book.rating, book.year, book.shelf) == (("Albert Camus",), None, None, "read")
    assert (book.isbn13, book.date_added) == ("9782070360024", "2013-07-02")


def test_every_source_is_told_by_its_own_header() -> None:
    for source in EXPORT_FORMATS:
        header = {*source.signature, *source.columns}
        assert BookFile(",".join(sorted(header)).encode()).source == source.name


# How files are laid out.


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_is_found(delimiter: str) -> None:
    text = "Title,Author,Rating\nDune,Frank Herbert,5\nEmma,Jane Austen,4\n"
    file = BookFile(text.replace(",", delimiter).encode())
    assert (file.delimiter, file.columns, titles(file)) == (delimiter, ("Title", "Author", "Rating"), ["Dune", "Emma"])


def test_decimal_commas_do_not_hide_the_semicolon() -> None:
    file = BookFile(b"Dune;Frank Herbert;4,5\nEmma;Jane Austen;3,0\n")
    assert (file.delimiter, file.header_row) == (";", 0)


def test_a_spreadsheets_instruction_about_the_delimiter_is_no_row() -> None:
    file = BookFile(b"sep=;\r\nTitel;Autor\r\nDie Welt, neu;X\r\n")
    assert (file.delimiter, file.header_row) == (";", 1)
    assert [(raw.row, list(raw.cells)) for raw in file.rows()] == [(2, ["Die Welt, neu", "X"])]


def test_titles_and_blank_lines_above_the_header_are_passed_over() -> None:
    file = BookFile(b"\n\nMy library\nExported 2024-01-01,,\n\nTitle,Author,ISBN\nDune,Frank Herbert,9780441013593\n")
    assert file.header_row == 6
    assert [(raw.row, file.book(raw).title) for raw in file.rows()] == [(7, "Dune")]


def test_a_file_without_header_is_read_from_its_first_row() -> None:
    file = BookFile(b"Dune,Frank Herbert,9780441013593\nEmma,Jane Austen,\n")
    assert (file.columns, file.header_row, file.source) == (("title", "author", "isbn"), 0, "generic")
    assert [(book.row, book.title, book.authors) for book in map(file.book, file.rows())] == [
        (1, "Dune", ("Frank Herbert",)),
        (2, "Emma", ("Jane Austen",)),
    ]


def test_a_list_of_titles_alone_keeps_their_commas() -> None:
    assert titles(BookFile(b"Title\nDune\nThe Lion, the Witch and the Wardrobe\nEmma\n")) == [
        "Dune",
        "The Lion, the Witch and the Wardrobe",
        "Emma",
    ]
    commas = b"Title\n" + b"The Lion, the Witch\n" * 9
    assert titles(BookFile(commas))[0] == "The Lion, the Witch"


def test_a_header_in_an_unknown_language_is_told_by_its_isbn() -> None:
    assert BookFile("Könyvcím,Szerző,ISBN\nDune,Frank Herbert,9780441013593\n".encode()).header_row == 1
    assert BookFile(b"ISBN,5 Novels\nx,y\n").header_row == 0


@pytest.mark.parametrize("data", [b"", b"\n\n", b",,,\n,,,\n", b";;;", b"Title,Author\n", b" " * 300_000])
def test_a_file_without_rows_has_none(data: bytes) -> None:
    assert list(BookFile(data).rows()) == []


def test_a_picture_is_refused() -> None:
    with pytest.raises(UnreadableCsv, match="PNG picture"):
        BookFile(b"\x89PNG\r\n\x1a\n")


# What becomes of rows.


def test_a_row_without_title_is_titled_by_its_identifier() -> None:
    header = "Title,Author,ISBN\n"
    assert [book.title for book in books(header + ",X,0-441-01359-7\n,X,9780441013594\n,X,B06XXX9DY7\n")] == [
        "9780441013593",
        "9780441013594",
        "B06XXX9DY7",
    ]


@pytest.mark.parametrize("isbn", ["", "n/a", "0", '"="""""', '"9,78E+12"', "unknown", "[]", "soon"])
def test_a_row_with_neither_title_nor_identifier_is_a_problem(isbn: str) -> None:
    refused = problem(f"Title,Author,ISBN\n\n,Frank Herbert,{isbn}\n")
    assert str(refused) == "Row 3 has neither a title nor an ISBN. Add one and import the file again."


def test_a_title_of_more_than_2000_characters_is_a_problem() -> None:
    assert len(books(f"Title,Author\n{'x' * 2000},A\n")[0].title) == 2000
    refused = problem(f"Title,Author\n{'x' * 2001},A\n")
    assert str(refused).startswith("The title in row 2 is longer than 2,000 characters.")
    assert refused.title == "x" * 200


def test_an_unreadable_row_is_a_problem() -> None:
    assert "row 2 is never closed" in str(problem('Title,Author\nUlysses,"oops\nDune,Frank Herbert\n'))


def test_a_repeated_header_is_no_book() -> None:
    assert str(problem("Title,Author\nTitle,Author\n")) == "Row 2 repeats the names of the columns; it holds no book."


def test_formulas_are_data() -> None:
    text = 'Title,Author\n"=HYPERLINK(""http://x"",""Dune"")",-Anon\n@SUM(1),X\n+1984,George Orwell\n"=""1984""",O\n'
    assert [book.title for book in books(text)] == ['=HYPERLINK("http://x","Dune")', "@SUM(1)", "+1984", "1984"]


def test_an_invalid_isbn_is_kept_as_given_with_a_warning() -> None:
    first, second = books("Title,ISBN,ISBN13\nDune,,9780441013594\nDune,0441013597,9780441013594\n")
    assert (first.isbn13, first.isbn10, first.isbn_as_given) == (None, None, "9780441013594")
    assert first.warnings == ("The ISBN 9780441013594 has a wrong check digit; one of its digits is mistyped.",)
    assert (second.isbn13, second.isbn_as_given) == ("9780441013593", "9780441013594")
    assert msgspec.to_builtins(first)["isbnAsGiven"] == "9780441013594"


def test_an_isbn_without_short_form_has_none() -> None:
    assert only("Title,ISBN\nA,9791032305690\n") == {
        "title": "A", "authors": [], "isbn13": "9791032305690", "row": 2,
    }  # fmt: skip


def test_unquoted_authors_are_put_together_again() -> None:
    text = "Title,Author,ISBN-13\nCursed Child,J.K. Rowling, John Tiffany, Jack Thorne,9781338099133\n"
    (book,) = books(text)
    assert book.authors == ("J.K. Rowling", "John Tiffany", "Jack Thorne")
    assert book.isbn13 == "9781338099133"
    (warning,) = book.warnings
    assert '"J.K. Rowling, John Tiffany, Jack Thorne" is in the column "Author". Check it.' in warning


def test_an_unquoted_title_is_put_together_again() -> None:
    (book,) = books("Title,Author,ISBN\nThe Lion, the Witch and the Wardrobe,C.S. Lewis,9780064404990\n")
    assert (book.title, book.authors) == ("The Lion, the Witch and the Wardrobe", ("C.S. Lewis",))


def test_cells_beyond_the_header_are_put_together_with_a_warning() -> None:
    header = "Title,Author,ISBN,Notes\n"
    first, second, third = books(
        header + "Emma,Jane Austen,9780141439587,good,really,good\nDune,Frank Herbert\nUlysses,James Joyce,,,,,\n"
    )
    assert first.notes == "good,really,good"
    (warning,) = first.warnings
    assert warning.endswith('put together again: "good,really,good" is in the column "Notes". Check it.')
    assert (second.authors, second.warnings, third.warnings) == (("Frank Herbert",), (), ())


def test_cells_beyond_a_header_of_numbers_are_left_out_with_a_warning() -> None:
    (book,) = books("Title,ISBN\nDune,9780441013593,7\n")
    assert book.warnings == ('The row has more cells than the header (3 instead of 2); left out: "7".',)


def test_what_is_not_understood_is_told() -> None:
    (book,) = books("Title,Rating,Date Read,Date Added\nDune,blue,soon,0000-00-00\n")
    assert book.warnings == ('The rating "blue" was not understood.', 'The date "soon" was not understood.')


def test_ratings_out_of_ten_are_halved() -> None:
    assert [book.rating for book in books("Title,Rating\nA,9\nB,4\nC,0\n")] == [4.5, 2, None]


def test_one_date_with_a_day_above_twelve_tells_the_order_of_all() -> None:
    assert [book.date_read for book in books("Title,Date Read\nA,3/4/2021\nB,13/4/2021\n")] == [
        "2021-04-03",
        "2021-04-13",
    ]
    assert [book.date_read for book in books("Title,Date Read\nA,3/4/2021\n")] == ["2021-03-04"]
    assert [book.date_read for book in books("Titel,Gelesen am\nA,3/4/2021\n")] == ["2021-04-03"]


def test_the_first_of_two_columns_for_the_same_thing_wins() -> None:
    (book,) = books(
        "Title,Book title,Author,Writer,Publisher,Imprint,Year,Publish year,Rating,Stars,Date Read,Finished,Series\n"
        "A,B,C,D,E,F,2001,2002,4,5,2021-01-01,2022-02-02,Earthsea\n"
    )
    assert (book.title, book.authors, book.publisher, book.year) == ("A", ("C",), "E", 2001)
    assert (book.rating, book.dates_read, book.series) == (4, ("2021-01-01", "2022-02-02"), "Earthsea")


def test_a_review_of_more_than_100000_characters_is_cut() -> None:
    (book,) = books(f'Title,Review,Notes,Publisher\nA,"{"x" * 400_000}",<p></p>,{"y" * 3000}\n')
    assert (len(str(book.review)), book.notes, len(str(book.publisher))) == (100_000, None, 2_000)
    assert book.warnings == (
        'The cell in column "Publisher" is longer than 2,000 characters; the rest was left out.',
        "The review is longer than 100,000 characters; the rest was left out.",
    )


def test_white_space_in_titles_is_collapsed() -> None:
    assert titles(BookFile(b'Title,Author\n"  Dune\n  Messiah ",X\n')) == ["Dune Messiah"]


# The sample files, and any file.


def test_every_sample_is_read_as_its_manifest_says(samples: Path) -> None:
    manifest = json.loads((samples / "csv" / "manifest.json").read_text())
    for name, expected in manifest.items():
        file = BookFile((samples / "csv" / name).read_bytes())
        found = {
            "encoding": file.encoding,
            "delimiter": file.delimiter,
            "cols": len(file.columns),
            "rows": len(list(file.rows())),
            "source": file.source,
        }
        wanted = {key: value for key, value in expected.items() if key in found and value is not None}
        assert {key: found[key] for key in wanted} == wanted, name
        assert (file.header_row == 0) == expected.get("noheader", False), name
        assert outcomes(file) == outcomes(file), name


def test_the_ragged_sample_loses_one_row_only(samples: Path) -> None:
    file = BookFile((samples / "csv" / "generic_ragged.csv").read_bytes())
    assert [raw.row for raw in file.rows() if raw.problem] == [5]
    assert [raw.row for raw in file.rows() if not raw.problem] == [2, 3, 6]


@pytest.mark.parametrize(
    ("name", "rows"),
    [("goodreads_export_120.csv", 120), ("three_columns_2015.csv", None), ("three_columns_2016_malformed.csv", None)],
)
def test_every_row_of_a_real_list_becomes_a_book(samples: Path, name: str, rows: int | None) -> None:
    data = (samples / name).read_bytes()
    file = BookFile(data)
    found = [file.book(raw) for raw in file.rows()]
    assert len(found) == (rows or sum(map(bool, data.splitlines())) - 1)
    assert all(book.authors and (book.isbn13 or book.isbn_as_given or rows) for book in found)
    assert not any("more cells" in warning for book in found for warning in book.warnings)


cells = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12) | st.sampled_from(
    ["9780441013593", "9,78E+12", "4,5", "7/10", "03.05.2021", '="044"', "Le Guin, U.", '"x', "9" * 400, "(" * 50, "²"]
)
headers = st.sampled_from(
    [list(source.columns) for source in EXPORT_FORMATS] + [["Title", "Rating", "Date Read", "ISBN"], []]
)


@given(headers, st.lists(st.lists(cells, max_size=30), max_size=4), st.sampled_from([",", ";", "\t"]))
def test_any_rows_become_books_or_problems_and_the_same_ones_twice(
    header: list[str], rows: list[list[str]], delimiter: str
) -> None:
    file = BookFile("\n".join(map(delimiter.join, [header, *rows])).encode("utf-8", "replace"))
    assert outcomes(file) == outcomes(file)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        file = BookFile(data)
    except UnreadableCsv:
        return
    assert outcomes(file) == outcomes(BookFile(data))


@pytest.mark.parametrize("failed", ["false", "FALSE", "FALSCH"])
def test_failed_rows_of_our_own_table_are_left_out_whatever_a_spreadsheet_made_of_them(failed: str) -> None:
    table = f"ok,sourceIndex,code,userMessage,title,authors\nWAHR,,,,Emma,Jane Austen\n{failed},,E_DUPLICATE,no,Emma,\n"
    file = BookFile(table.encode())
    assert [file.book(raw).title for raw in file.rows()] == ["Emma"]


def test_a_scale_shows_in_all_marks_of_a_file_however_late() -> None:
    rows = "".join(f"Book {number},Ann Orr {number},{number % 5 + 1}\n" for number in range(300))
    file = BookFile(f"Title,Author,Rating\n{rows}Last,Ann Orr,9\n".encode())
    imported = [verdict for verdict in verdicts(file) if isinstance(verdict, ImportedBook)]
    assert (imported[0].rating, imported[-1].rating) == (0.5, 4.5)
    assert file.plan().warnings == ('The marks of the column "Rating" were taken for ones of 10, and divided by 2.',)


def test_the_order_of_dates_shows_in_all_of_a_file_however_late() -> None:
    rows = "".join(f"Book {number},Ann Orr {number},3/4/2021\n" for number in range(300))
    unclear = BookFile(f"Title,Author,Date Read\n{rows}".encode())
    assert next(iter(verdicts(unclear))).date_read == "2021-03-04"  # type: ignore[union-attr]  # a book
    assert unclear.plan().warnings == (
        'Dates such as "3/4/2021" were read as month, day, year; nothing in the file shows the order.',
    )
    clear = BookFile(f"Title,Author,Date Read\n{rows}Last,Ann Orr,13/4/2021\n".encode())
    assert next(iter(verdicts(clear))).date_read == "2021-04-03"  # type: ignore[union-attr]  # a book
    assert clear.plan().warnings == ()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Total,,1000", "a sum"),
        ("Books read: 12,,", "a sum"),
        ("Summe Seiten,,1000", "a sum"),
        ("Exported on 2021-03-02 by an app,,", "a sum or a remark"),
        ("Gesamt,2,", "a sum"),
        ("2019,,", "a heading"),
        ("January 2019,,", "a heading"),
        ("--- Read in 2019 (12) ---,,", "a heading"),
    ],
)
def test_a_row_that_is_no_book_is_refused_with_the_reason(row: str, why: str) -> None:
    (*_, refused) = outcomes(BookFile(f"Title,Author,Pages\n2018,,\nDune,Frank Herbert,600\n{row}\n".encode()))
    assert why in str(refused)


@pytest.mark.parametrize("row", ["Total Recall,,", "1984,,328", "Sum,Ann Orr,", "2019,Ann Orr,", "Average Joe,,"])
def test_a_title_that_is_like_a_sum_or_a_heading_is_a_book(row: str) -> None:
    assert [book.title for book in books(f"Title,Author,Pages\nDune,Frank Herbert,600\n{row}\n")][1:] == [
        row.partition(",")[0]
    ]


def test_a_sum_whose_word_is_in_the_column_before_the_titles_is_no_book() -> None:
    found = outcomes(BookFile(b"No.,Title,Author\n1,Emma,Jane Austen\n2,1984,George Orwell\n3,1984,\nSum,3,\n"))
    assert '"Sum"' in str(found[-1])
    assert b'"title":"1984"' in bytes(found[-2])  # type: ignore[arg-type]  # a book


def imported(text: str) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """When the books of a list were read, by their titles, and what was guessed of the list."""
    file = BookFile(text.encode())
    found = [verdict for verdict in verdicts(file) if isinstance(verdict, ImportedBook)]
    return {book.title: book.date_read for book in found}, file.plan().warnings


def test_books_below_the_heading_of_a_year_were_read_then_and_that_is_said_as_a_guess() -> None:
    days, warnings = imported(
        "Title,Author\n2018,\nDune,Frank Herbert\nRead in 2019,\nEmma,Jane Austen\nTo read:,\nIt,Stephen King\n"
    )
    assert days == {"Dune": "2018", "Emma": "2019", "It": None}
    assert set(warnings) == {
        'Headings such as "2018" were taken for when the books below them were read, as no column says it.',
        'Headings such as "To read:" were taken for the reading state of the books below them, as no column says it.',
    }


@pytest.mark.parametrize(
    "text",
    [
        "Title,Author,Date Read\n2018,,\nDune,Frank Herbert,\n2019,,\nEmma,Jane Austen,2020-01-02\n",
        "Title,Author,Shelf\n2018,,\nDune,Frank Herbert,to-read\n2019,,\nEmma,Jane Austen,to-read\n",
        "Title,Author\n2018,\nDune,Frank Herbert\n1984,\nEmma,Jane Austen\n2019,\nIt,Stephen King\n",
    ],
    ids=["a column says when", "not read yet", "the years are in no order"],
)
def test_the_heading_of_a_year_gives_no_date_where_something_speaks_against_it(text: str) -> None:
    days, _ = imported(text)
    assert days["Dune"] is None


def test_the_best_mark_in_the_name_of_a_column_is_not_overruled_by_a_mistyped_one() -> None:
    found = books("Title,Author,Rating (1-10)\nDune,Frank Herbert,10\nEmma,Jane Austen,11\n")
    assert [book.rating for book in found] == [5, None]
    assert found[1].warnings == ('The rating "11" was not understood.',)


@pytest.mark.parametrize("shelf", ["read, owned", "owned, read"])
def test_that_a_book_is_owned_is_kept_beside_its_state(shelf: str) -> None:
    (book,) = books(f'Title,Author,Shelf\nEmma,Jane Austen,"{shelf}"\n')
    assert (book.shelf, book.tags) == ("read", ("owned",))


def test_a_guess_at_the_encoding_is_said() -> None:
    file = BookFile("Book;Year\nAndrzej Sapkowski - Wiedźmin;1990\n".encode("iso8859_2"))
    (doubt, *_) = file.plan().warnings
    assert "iso8859_2" in doubt
    assert "Wiedźmin" in doubt
    assert BookFile("Tytuł;Autor\nSolaris;Lem\n".encode("iso8859_2")).plan().warnings == ()


@pytest.mark.parametrize(
    ("reads", "read", "count"), [("0", None, 1), ("1", "2023-03-03", 0)], ids=["never read before", "read once"]
)
def test_a_date_alone_of_a_book_being_read_is_its_beginning_unless_it_was_read_before(
    reads: str, read: str | None, count: int
) -> None:
    (book,) = books(
        "Title,Authors,ISBN/UID,Read Status,Dates Read,Read Count\n"
        f"Piranesi,Susanna Clarke,,currently-reading,2023/03/03,{reads}\n"
    )
    assert (book.date_read, len([1 for read in book.reads if read.started])) == (read, count)


def test_an_identifier_that_stands_in_for_a_title_is_said_where_there_is_a_column_of_titles() -> None:
    (book,) = books("Title,ISBN\n,9780061120084\n")
    assert book.warnings == ('The row has no title; "9780061120084" stands in for it.',)
    (book,) = books("ISBN\n9780061120084\n")
    assert book.warnings == ()


def test_people_of_another_role_than_writing_are_named_as_left_out() -> None:
    (book,) = books(
        "Title\tSort Character\tPrimary Author\tSecondary Author\tSecondary Author Roles\n"
        "The name of the rose\t5\tEco, Umberto\tWeaver, William\tTranslator\n"
    )
    assert book.authors == ("Umberto Eco",)
    assert book.warnings == ("Left out, as none of its authors: Weaver, William (Translator).",)


def test_the_day_on_which_an_unfinished_book_was_last_opened_is_named_as_left_out() -> None:
    (book,) = books("Title,Attribution,ReadStatus,DateLastRead\nBabel,R. F. Kuang,1,2023-05-01T08:00:00Z\n")
    assert book.reads == ()
    assert book.warnings == (
        "When it was last opened (2023-05-01) was left out: that is no date on which it was finished.",
    )


def test_a_second_date_of_being_added_is_named_as_left_out() -> None:
    file = BookFile(
        b"cover,title,author,publisher,isbn,timestamp,activity,details,library\n"
        b',Dune,Frank Herbert,,,"March 24, 2023 14:22",Returned,,Town\n'
        b',Dune,Frank Herbert,,,"March 03, 2023 09:02",Borrowed,,Town\n'
    )
    (book, _) = verdicts(file)
    assert isinstance(book, ImportedBook)
    assert book.date_added == "2023-03-03"
    assert "2023-03-24 was left out" in book.warnings[0]


def test_a_word_among_reading_states_that_is_not_known_is_said() -> None:
    _, warnings = imported("Title,Author,Status\nDune,Frank Herbert,read\nEmma,Jane Austen,Attic\n")
    assert warnings == (
        'In the column "Status" no reading state is known for "Attic": kept as shelves of these names.',
    )


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        ("ik lees dit boek nu", "currently-reading"),
        ("je suis actuellement en train de lire", "currently-reading"),
        ("wil ik ooit nog lezen", "to-read"),
        ("Yakında okuyacağım", "to-read"),  # noqa: RUF001 - a Turkish letter
        ("not yet", "to-read"),
        ("Reading list of Ann", None),
        ("no", None),
    ],
)
def test_a_reading_state_in_words_may_have_them_in_another_order(cell: str, state: str | None) -> None:
    assert (reading_state(cell) or (None, ""))[0] == state


def test_a_word_in_place_of_yes_is_not_called_a_date() -> None:
    found = books("Título,Autor,¿Leído?\nRayuela,Julio Cortázar,Sí\nEl túnel,Ernesto Sábato,A medias\n")
    assert found[1].warnings == (
        '"A medias" was not understood: it is neither yes nor no, nor a reading state that is known.',
    )


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Title,Author,Date\nDune,Frank Herbert,2022-01-02\nEmma,Jane Austen,2022-02-03\n", "2022-01-02"),
        ("Title,Author,Date\nDune,Frank Herbert,1965-08-01\nEmma,Jane Austen,1815-12-23\n", None),
        ("Title,Author,Date,Date added\nDune,Frank Herbert,2022-01-02,2021-01-01\n", None),
        ("Title,Author,Date,Due date\nDune,Frank Herbert,2022-01-02,2022-02-01\n", None),
    ],
    ids=["days of today", "days of publication", "another column has days", "loans"],
)
def test_days_in_a_column_called_but_date_are_those_of_reading_where_nothing_speaks_against_it(
    text: str, day: str | None
) -> None:
    days, warnings = imported(text)
    assert days["Dune"] == day
    assert any('"Date" was taken for the date read' in warning for warning in warnings) is (day is not None)


def test_the_notes_of_one_book_are_no_list() -> None:
    with pytest.raises(UnreadableCsv, match="of one book"):
        BookFile(b"Your Kindle Notes For:,,\nDune,,\nby Frank Herbert,,\n")


def test_the_heading_of_a_reading_state_counts_for_the_books_below_it() -> None:
    found = imported_books(
        "Title,Author,Rating\nReading,,\nDune,Frank Herbert,\nFinished,,\nEmma,Jane Austen,4\nIt,Stephen King,3\n"
    )
    assert [(book.title, book.shelf) for book in found] == [
        ("Dune", "currently-reading"),
        ("Emma", "read"),
        ("It", "read"),
    ]


def test_the_heading_of_a_name_is_the_author_of_the_titles_below_it() -> None:
    found = imported_books("Jane Austen:\nEmma\n1984\nFantasy:\nMistborn\nFrank Herbert:\nDune\n")
    assert [(book.title, book.authors) for book in found] == [
        ("Emma", ("Jane Austen",)),
        ("1984", ("Jane Austen",)),
        ("Mistborn", ()),
        ("Dune", ("Frank Herbert",)),
    ]


def imported_books(text: str) -> list[ImportedBook]:
    return [verdict for verdict in verdicts(BookFile(text.encode())) if isinstance(verdict, ImportedBook)]


def test_titles_emphasized_as_in_markdown_are_taken_without_the_marks() -> None:
    found = imported_books("- **Orbital** by Samantha Harvey\n- *James* by Percival Everett\n- Emma by Jane Austen\n")
    assert [book.title for book in found] == ["Orbital", "James", "Emma"]


def test_a_column_of_lists_in_which_all_cells_are_reading_states_is_the_shelf() -> None:
    found = imported_books("title,author,list name\nEmma,Jane Austen,Finished\nDune,Frank Herbert,Want to Read\n")
    assert [(book.shelf, book.tags) for book in found] == [("read", ()), ("to-read", ())]


@pytest.mark.parametrize("state", ["read twice", "read (2x)", "Read x2", "gelesen 2 mal", "leído, 2 veces"])
def test_a_state_that_says_how_often_a_book_was_read_gives_both(state: str) -> None:
    found = imported_books(f'Title,Author,Status\nEmma,Jane Austen,"{state}"\nDune,Frank Herbert,read\n')
    assert [(book.shelf, book.read_count) for book in found] == [("read", 2), ("read", None)]


def test_yes_in_place_of_a_date_of_reading_is_the_state() -> None:
    found = imported_books(
        "Título;Autor;Leído\nEmma;Jane Austen;12/03/2021\nDune;Frank Herbert;13/04/2022\n"
        "Rayuela;Julio Cortázar;sí (2 veces)\n"
    )
    assert [(book.shelf, book.date_read, book.read_count) for book in found][1:] == [
        ("read", "2022-04-13", None),
        ("read", None, 2),
    ]
    assert not found[2].warnings
