"""The offline reader of bookshelves. It needs the extra `shelfwire[scan]`: import it only where that is installed."""

from shelfwire.books.ai_scan.reader.reader import Reader

__all__ = ["Reader"]
