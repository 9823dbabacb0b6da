import pytest

from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.pipeline import CsvImport
from shelfwire.books.csv_import.problems import RepeatedBook, RowProblem
from shelfwire.books.csv_import.summaries import summary
from shelfwire.books.csv_import.verdicts import verdicts
from shelfwire.jobs.pipeline import columns_of


@pytest.mark.parametrize(
    ("added", "failed", "text"),
    [
        (0, 0, "Imported 0 books"),
        (1, 0, "Imported 1 book"),
        (145, 1, "Imported 145 books; 1 row was not imported"),
        (49_990, 1000, "Imported 49,990 books; 1,000 rows were not imported"),
    ],
)
def test_the_summary_reads_as_a_person_would_say_it(added: int, failed: int, text: str) -> None:
    assert summary(added, failed) == text


def test_every_row_has_its_verdict_and_a_repeated_book_counts_only_once() -> None:
    rows = b"Title,Author,ISBN13\nEmma,Jane Austen,9780141439587\n,Nobody,\nEMMA,jane  austen,\n,,9780141439587\n"
    found = list(verdicts(BookFile(rows)))
    assert [type(one[0]) if isinstance(one, tuple) else type(one) for one in found] == [
        ImportedBook,
        RowProblem,
        RepeatedBook,
        RepeatedBook,
    ]
    assert next(verdicts(BookFile(rows))) == found[0]


def test_volumes_of_one_work_are_no_repetitions_however_they_are_numbered() -> None:
    titles = ["Henry IV", "Henry V", "Complete Works II", "Complete Works III", "C in a Nutshell", "C# in a Nutshell"]
    rows = "Title,Author\n" + "".join(f"{title},Ann Other\n" for title in titles)
    found = [type(one[0]) if isinstance(one, tuple) else type(one) for one in verdicts(BookFile(rows.encode()))]
    assert found == [ImportedBook] * len(titles)


def test_the_table_of_an_import_has_a_column_for_what_a_row_says_and_none_for_what_providers_know() -> None:
    columns = columns_of(CsvImport())
    assert columns[:4] == ("title", "authors", "row", "isbn13")
    assert columns[-1] == "warnings"
    assert len(columns) == 31
