"""The offline reader of bookshelves. It needs the extra `shelfwire[scan]`: import it only where that is installed."""

from shelfwire.pipelines.ai_scan.reader.reader import MOST_PIXELS, Reader, Spine

__all__ = ["MOST_PIXELS", "Reader", "Spine"]
