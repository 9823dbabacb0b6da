"""The rows of a book list as they stood in the file, for those that were not imported."""

from collections.abc import Sequence

import msgspec

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.book_file import REASON, BookFile
from shelfwire.jobs.pipeline import OriginalTable
from shelfwire.jobs.store import Item


class _Failure(msgspec.Struct, frozen=True):
    row: int


class OriginalRows(OriginalTable):
    """The rows of a file, read once from its beginning to its end.

    Args:
        file: the file. A list without header gets one, so that its columns mean the same with one more of them.
    """

    def __init__(self, file: BookFile) -> None:
        self._file = file
        self._rows = file.rows()
        keys = [text_key(name) for name in file.columns]
        # The column is there already where the file is one that was to be corrected.
        self._reason = keys.index(REASON) if REASON in keys else None
        self.header = self._without_reason(file.columns)

    def rows(self, failed: Sequence[Item]) -> Sequence[Sequence[str]]:
        """See `OriginalTable`."""
        return [self._cells(msgspec.json.decode(item.body, type=_Failure).row) for item in failed]

    def _cells(self, number: int) -> Sequence[str]:
        found = next((raw for raw in self._rows if raw.row >= number), None)
        return () if found is None else self._without_reason(self._file.text_of(found))

    def _without_reason(self, cells: Sequence[str]) -> Sequence[str]:
        if self._reason is None:
            return cells
        return [*cells[: self._reason], *cells[self._reason + 1 :]]
