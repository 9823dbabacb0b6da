"""The result of a photo: the books on it, and how it was read."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shelfwire.books.ai_scan.ipc import Hint
from shelfwire.books.batch_enrichment.lookup_failure import EnrichmentError
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.jobs.pipeline import NO_COLUMN

Polygon = Annotated[
    tuple[tuple[int, int], ...], Meta(description="The outline on the photo: corners [x, y]; empty if it is unknown.")
]
PhotoIndex = Annotated[int, Meta(description="The photo's place among those of the job, from 0.")]


class BookPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a book stands on a photo."""

    photo: PhotoIndex
    polygon: Polygon


class TitleAndAuthors(msgspec.Struct, frozen=True, kw_only=True):
    """A title and its authors."""

    title: Annotated[str, Meta(description="The title.")]
    authors: Annotated[tuple[str, ...], Meta(description="Their names; may be empty.")]


class ProposedBook(TitleAndAuthors, frozen=True, kw_only=True, omit_defaults=True):
    """A book that a catalogue proposes without being sure."""

    isbn13: Annotated[str | None, Meta(description="An ISBN-13 without hyphens.")] = None


class ScannedBook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A book found on a photo. Coordinates are in pixels of the photo in its full size, turned as its EXIF says."""

    title: Annotated[str, Meta(description="As printed, or as a catalogue has it that is sure of title and authors.")]
    authors: Annotated[tuple[str, ...], Meta(description="Their names, likewise; may be empty.")]
    confidence: Annotated[float, Meta(description="How certain the reading is, from 0 to 1.")]
    review: Annotated[
        bool, Meta(description="Whether a person should check it; false only if title and authors were confirmed.")
    ]
    photo: PhotoIndex
    polygon: Annotated[Polygon, Meta(extra=NO_COLUMN)]
    text: Annotated[str, Meta(description="All that was read on it.")]
    isbn13: Annotated[str | None, Meta(description="Its ISBN-13 without hyphens, if a catalogue confirmed it.")] = None
    read_as: Annotated[
        TitleAndAuthors | None,
        Meta(description="What was read, if a catalogue or provider corrected it.", extra=NO_COLUMN),
    ] = None
    candidate: Annotated[
        ProposedBook | None, Meta(description="What a catalogue proposes without being sure.", extra=NO_COLUMN)
    ] = None
    enriched: Annotated[
        EnrichedBook | None,
        Meta(description="What the providers of book data know of it, if the job enriches.", extra=NO_COLUMN),
    ] = None
    enrichment_error: Annotated[
        EnrichmentError | None, Meta(description="Why it was not enriched.", extra=NO_COLUMN)
    ] = None
    places: Annotated[
        tuple[BookPlace, ...],
        Meta(description="All places where it stands; only in the results of the whole job.", extra=NO_COLUMN),
    ] = ()


class PhotoResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The books on one photo."""

    books: Annotated[tuple[ScannedBook, ...], Meta(description="The books, in reading order.", extra=NO_COLUMN)]
    book_count: Annotated[int, Meta(description="The number of books.")]
    reader: Annotated[str, Meta(description="What read the photo: `offline` or `gemini`.")]
    width: Annotated[int, Meta(description="Width of the photo in pixels, turned as its EXIF says.")]
    height: Annotated[int, Meta(description="Height of the photo in pixels, turned as its EXIF says.")]
    hints: Annotated[
        tuple[Hint, ...],
        Meta(
            description="What stood in the way of reading it: `blurred`; `script_not_read`: it has text in a script "
            "that the reader does not know.",
            extra=NO_COLUMN,
        ),
    ] = ()
    tokens: Annotated[int, Meta(description="Tokens of Gemini that were used.", extra=NO_COLUMN)] = 0
    instead_of: Annotated[
        str | None,
        Meta(description="The code Gemini failed with, if the offline reader stood in for it.", extra=NO_COLUMN),
    ] = None


class PhotoFailure(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a failed photo beside its error."""

    photo: PhotoIndex
