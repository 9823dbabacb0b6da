"""Which rows repeat a book that an earlier row had."""

from hashlib import blake2b

from shelfwire.books.bibliography.text import KEY_SEPARATOR
from shelfwire.books.bibliography.titles import title_key
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import RepeatedBook


class SeenBooks:
    """The books of a file so far.

    A row repeats an earlier book if it has the same ISBN-13, or the same title and authors but for case, accents,
    punctuation and spaces. A book without authors is only ever the same as another without. Rows are shown in the
    file's order, so that an import that is taken up again decides as the first one did.
    """

    def __init__(self) -> None:
        # Numbers and digests only, some hundred bytes a book. Digests are of 64 bits, the same in every process: among
        # 100,000 books the chance that any two collide is 3 in ten thousand million. An ISBN is below 10**13 and so
        # are next to no digests, which lets the two kinds share a table.
        self._rows: dict[int, int] = {}

    def admit(self, book: ImportedBook) -> None:
        """Remember a book.

        Raises:
            RepeatedBook: An earlier row had it; nothing is remembered then.
        """
        rows = self._rows
        name = _digest(_name(book))
        earlier = rows.get(name)
        if book.isbn13 is None:
            if earlier is None:
                rows[name] = book.row
                return
        else:
            number = int(book.isbn13)
            same_number = rows.get(number)
            if earlier is None and same_number is None:
                rows[number] = rows[name] = book.row
                return
            earlier = min(row for row in (earlier, same_number) if row is not None)
        raise RepeatedBook(row=book.row, earlier_row=earlier)


def _name(book: ImportedBook) -> str:
    key = title_key(KEY_SEPARATOR.join((book.title, *book.authors)))
    # A title of nothing but punctuation would leave the authors alone.
    return key if key[0] != KEY_SEPARATOR else KEY_SEPARATOR.join((book.title, *book.authors))


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
