"""Problems of a book list: with the whole file, with one row, or with a row that repeats a book."""

from shelfwire.books.csv_import.raw_rows import RawRow


class UnreadableCsv(ValueError):  # noqa: N818 - the name says what the file is
    """The file is no book list; the message tells a person what it is and what to do."""


class RowProblem(ValueError):  # noqa: N818 - a row's problem is an outcome of the import, not a failure of it
    """One row cannot become a book.

    Attributes:
        row: The row's number, from 1, as a spreadsheet shows it.
        title: The title the row has, or an empty string.
        field: The field to look at first, such as "title"; an empty string for none.
        raw: The row as it stands in the file, once that is known.
    """

    def __init__(self, message: str, *, row: int, title: str = "", field: str = "") -> None:
        super().__init__(message)
        self.row = row
        self.title = title
        self.field = field
        self.raw: RawRow | None = None


class RepeatedBook(ValueError):  # noqa: N818 - as above
    """A row holds the same book as an earlier row.

    Attributes:
        row: The row's number, from 1, as a spreadsheet shows it.
        earlier_row: The number of the row that had the book first.
        added: What the earlier row took over of this one; empty if it says nothing more.
    """

    def __init__(self, *, row: int, earlier_row: int, added: str = "") -> None:
        what = f"{added[0].upper()}{added[1:]} went to that row." if added else "It says nothing more than that row."
        super().__init__(
            f"The same book as row {earlier_row}. {what} To import both, choose to keep duplicates (--duplicates keep)."
        )
        self.row = row
        self.earlier_row = earlier_row
        self.added = added
