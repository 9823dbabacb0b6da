"""What each kind of job is called on the terminal."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Labels(NamedTuple):
    """The words for one kind of job.

    Attributes:
        doing: what it is about, at the beginning of a line.
        noun: what the job is.
        item: one thing of its input; with an s, several.
        done: what became of an item that did not fail.
        again: what to do when the job is gone.
    """

    doing: str
    noun: str
    item: str
    done: str
    again: str

    def counted(self, count: int) -> str:
        """So many items."""
        return f"{count:,} {self.item}{'' if count == 1 else 's'}"


IMPORT: Final = Labels("Importing", "import", "row", "imported", "Import the file again")
OF_PIPELINE: Final[Mapping[str, Labels]] = {
    "csv_import": IMPORT,
    "ai_scan": Labels("Scanning", "scan", "photo", "read", "Scan it again"),
    "batch_enrichment": Labels("Looking up", "lookup", "book", "found", "Look the list up again"),
}
_OTHER: Final = Labels("Working on", "job", "item", "done", "Start it again")


def labels_of(pipeline: str) -> Labels:
    """The words for jobs of a pipeline."""
    return OF_PIPELINE.get(pipeline, _OTHER)
