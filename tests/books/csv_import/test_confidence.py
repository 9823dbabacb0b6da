import pytest

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.confidence import Doubt


@pytest.mark.parametrize(
    "text",
    [
        "Title,Author\nDune,Frank Herbert\n",
        "Author,Title,Shelf position\nFrank Herbert,Dune,Top\n",
        "Titel;Autor;Verlag\nDune;Frank Herbert;Heyne\n",
        "Title,ISBN\nDune,9780441013593\n",
        "Title,Year,Copies\nDune,1965,2\n",
        "ISBN,Notes\n9780441013593,good\n",
        "ISBN\n9780441013593\n9780141439587\n",
        "9780441013593\n9780141439587\n",
        "Dune\nEmma\nThe Lion, the Witch and the Wardrobe\nCatch-22\nNineteen Eighty-Four\n",
        "Title\nDune\nDeath by Water\nEmma\nSome Tame Gazelle\nKim\n",
        "Title,Author\n",
        "",
    ],
)
def test_what_the_names_of_the_columns_tell_is_read_with_confidence(text: str) -> None:
    assert BookFile(text.encode()).doubt is None


@pytest.mark.parametrize(
    "text",
    [
        "Dune,Frank Herbert,9780441013593\nEmma,Jane Austen,9780141439587\n",
        "Frank Herbert,Dune,1965\nJane Austen,Emma,1815\n",
        "Liburua;Idazlea;Urtea\nDunea;Frank Herbert;1965\nEmma;Jane Austen;1815\n",
        "Title,Whatever\nDune,Frank Herbert\nEmma,Jane Austen\n",
        "ISBN,Whatever\n9780441013593,Dune\n9780141439587,Emma\n",
    ],
)
def test_a_table_with_a_column_that_is_only_guessed_is_in_doubt(text: str) -> None:
    assert BookFile(text.encode()).doubt is Doubt.COLUMNS


@pytest.mark.parametrize(
    "text",
    [
        "Dune by Frank Herbert\nEmma by Jane Austen\n",
        "Title\nDune by Frank Herbert\nEmma by Jane Austen\n",
        "Dune - Frank Herbert\nEmma - Jane Austen\nKim\n",
        "Dune (1965)\nEmma (1815)\n",
        "Frankenstein, Mary Shelley\nDune, Frank Herbert, 1965, London\nGood Omens, Gaiman, Pratchett\nEmma\n",
        f"{'I have read so many books ' * 6}\n{'and here is another one ' * 6}\n",
        "Dune 978-0-441-01359-3 paperback\nEmma 9780141439587 lost\n",
    ],
)
def test_a_list_whose_lines_say_more_than_a_title_is_free_text(text: str) -> None:
    assert BookFile(text.encode()).doubt is Doubt.TEXT


def test_an_export_of_a_known_kind_is_never_in_doubt_whatever_is_in_it() -> None:
    header = (
        "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,"
        "Number of Pages,Year Published,Original Publication Year,Date Read,Date Added,Bookshelves,"
        "Bookshelves with positions,Exclusive Shelf,My Review,Spoiler,Private Notes,Read Count,Owned Copies"
    )
    file = BookFile(f"{header},Something of mine\n1,Dune by Frank Herbert,,,,,,,,,,,,,,,,,,,,,,,words\n".encode())
    assert file.source == "goodreads"
    assert file.doubt is None


def test_what_is_told_of_columns_is_taken_over_beside_what_their_names_tell() -> None:
    file = BookFile(b"Title,Wer,Was\nDune,Frank Herbert,Heyne\n")
    file.explain([(0, "publisher"), (1, "author"), (2, "title")], header=False)
    (book,) = map(file.book, file.rows())
    assert (book.title, book.authors, book.publisher) == ("Dune", ("Frank Herbert",), None)


def test_a_first_row_that_turns_out_to_be_a_header_is_no_row_any_more() -> None:
    file = BookFile(b"Liburua;Idazlea;Irakurria\nDunea;Frank Herbert;today\nEmma;Jane Austen;31.12.2020\n")
    assert len(list(file.rows())) == 3
    file.explain([(0, "title"), (1, "author"), (2, "date_read")], header=True)
    assert (file.columns, file.header_row) == (("Liburua", "Idazlea", "Irakurria"), 1)
    books = [file.book(raw) for raw in file.rows()]
    assert [(book.row, book.title, book.date_read) for book in books] == [
        (2, "Dunea", None),
        (3, "Emma", "2020-12-31"),
    ]


def test_a_header_that_is_narrower_than_its_rows_leaves_the_other_columns_in_place() -> None:
    file = BookFile(b"Liburua;Idazlea\nDunea;Frank Herbert;9780441013593\nEmma;Jane Austen;9780141439587\n")
    file.explain([(0, "title"), (1, "author"), (2, "isbn")], header=True)
    assert [file.book(raw).isbn13 for raw in file.rows()] == ["9780441013593", "9780141439587"]


def test_an_export_of_a_known_kind_takes_only_what_it_does_not_have_itself() -> None:
    columns = "Title,Authors,Contributors,ISBN/UID,Format,Read Status,Date Added"
    rest = "Last Date Read,Dates Read,Read Count,Moods,Pace,Character- or Plot-Driven?,Strong Character Development?"
    more = "Loveable Characters?,Diverse Characters?,Flawed Characters?,Star Rating,Review,Content Warnings"
    header = f"{columns},{rest},{more},Content Warning Description,Tags,Owned?,Wo,Wer"
    file = BookFile(f"{header}\nDune,Frank Herbert{',' * 22}Heyne,Nobody\n".encode())
    assert file.source == "storygraph"
    file.explain([(23, "publisher"), (24, "author"), (0, "notes")], header=False)
    (book,) = map(file.book, file.rows())
    assert (book.title, book.authors, book.publisher, book.notes) == ("Dune", ("Frank Herbert",), "Heyne", None)
