"""What becomes of a row: an imported book, or the members of a failed item."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shelfwire.books.batch_enrichment.lookup_failure import EnrichmentError
from shelfwire.books.batch_enrichment.merging import EnrichedBook
from shelfwire.jobs.pipeline import NO_COLUMN

Date = Annotated[str, Meta(description="`YYYY-MM-DD`, or as much of it as is known.")]


class Read(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """One time that the book was read."""

    started: Annotated[Date | None, Meta(description="When it began.")] = None
    finished: Annotated[Date | None, Meta(description="When it was finished.")] = None
    stopped: Annotated[Date | None, Meta(description="When it was given up.")] = None
    rating: Annotated[float | None, Meta(description="Stars for this read, where each has a row of its own.")] = None
    review: Annotated[str | None, Meta(description="What was written of this read, likewise.")] = None


class PlannedColumn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a column of the file was taken for."""

    column: Annotated[str, Meta(description="Its name in the header, or its number if it has none.")]
    holds: Annotated[str | None, Meta(description="What it was taken for; absent if it is not used.")] = None
    by: Annotated[
        str | None,
        Meta(
            description="What says so: `export` (a known program writes it so), `name`, `cells`, `position`, `gemini` "
            "or `person` (the option `columns`)."
        ),
    ] = None
    examples: Annotated[tuple[str, ...], Meta(description="Some of its cells, shortened.")] = ()


class UnusedColumn(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A column that holds something, and of which nothing was imported."""

    column: Annotated[str, Meta(description="Its name in the header, or its number if it has none.")]
    example: Annotated[str, Meta(description="The first cell in it that is not empty, shortened.")]


class ImportPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """How the file was read."""

    source: Annotated[str, Meta(description="The program or site that wrote it, or `generic`.")]
    encoding: Annotated[str, Meta(description="Its encoding, as Python calls it.")]
    delimiter: Annotated[str, Meta(description="What separates its cells.")]
    header_row: Annotated[int, Meta(description="The row that names the columns, from 1; 0 if there is none.")]
    columns: Annotated[tuple[PlannedColumn, ...], Meta(description="Every column, in the order of the file.")]
    unused_columns: Annotated[
        tuple[UnusedColumn, ...], Meta(description="The columns with data that were not used.")
    ] = ()
    warnings: Annotated[tuple[str, ...], Meta(description="What of this was guessed, for a person.")] = ()


class ImportedBook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """A book of the list; what its row does not say is left out."""

    title: Annotated[str, Meta(description="The title; the ISBN or another identifier if the row has no title.")]
    authors: Annotated[tuple[str, ...], Meta(description="Their names, first name first, in the order of the row.")]
    row: Annotated[int, Meta(description="The number of the row, from 1, as a spreadsheet shows it.")]
    isbn13: Annotated[str | None, Meta(description="A valid ISBN-13 without hyphens, given or converted.")] = None
    isbn10: Annotated[
        str | None,
        Meta(description="A valid ISBN-10 without hyphens, given or converted; ISBNs that begin with 979 have none."),
    ] = None
    other_isbns: Annotated[
        tuple[str, ...], Meta(description="Other valid ISBN-13s that the row has, such as those of other formats.")
    ] = ()
    isbn_as_given: Annotated[
        str | None, Meta(description="What the row has for an ISBN but is none; `warnings` says why.")
    ] = None
    subtitle: Annotated[str | None, Meta(description="The subtitle, if it has its own column.")] = None
    series: Annotated[
        str | None,
        Meta(
            description='The series, with the number in it ("Earthsea #2") if the row has one; several are separated '
            "by semicolons."
        ),
    ] = None
    volume: Annotated[
        str | None, Meta(description="The number of the volume, as given, where it is not in `series`.")
    ] = None
    edition: Annotated[str | None, Meta(description="The edition, as given.")] = None
    publisher: Annotated[str | None, Meta(description="The publisher.")] = None
    year: Annotated[int | None, Meta(description="Year of this edition.")] = None
    original_year: Annotated[int | None, Meta(description="Year of the first edition; negative is BC.")] = None
    pages: Annotated[int | None, Meta(description="Number of pages, 1 to 100,000.")] = None
    format: Annotated[str | None, Meta(description="Binding or medium, as given.")] = None
    language: Annotated[str | None, Meta(description="The language, as given.")] = None
    shelf: Annotated[
        str | None,
        Meta(
            description="`read`, `currently-reading`, `to-read`, `did-not-finish`, `paused`, `wishlist` or `owned`; "
            "any other shelf as given."
        ),
    ] = None
    tags: Annotated[tuple[str, ...], Meta(description="The other shelves, genres or tags.")] = ()
    rating: Annotated[float | None, Meta(description="Stars, 0.25 to 5.")] = None
    date_started: Annotated[Date | None, Meta(description="When reading began, the last time.")] = None
    date_read: Annotated[Date | None, Meta(description="When reading ended, the last time.")] = None
    dates_read: Annotated[
        tuple[Date, ...], Meta(description="When reading ended, every time; the last is `dateRead`.")
    ] = ()
    reads: Annotated[tuple[Read, ...], Meta(description="Every time that it was read, as far as dates are known.")] = ()
    date_added: Annotated[Date | None, Meta(description="When the book was added to the list.")] = None
    copies: Annotated[int | None, Meta(description="How many copies the reader owns, if the row says so.")] = None
    read_count: Annotated[int | None, Meta(description="How often it was read, if more than once.")] = None
    review: Annotated[
        str | None,
        Meta(
            description="The reader's review as plain text, below its title if it has one, at most 100,000 characters."
        ),
    ] = None
    notes: Annotated[
        str | None, Meta(description="The reader's private notes as plain text, at most 100,000 characters.")
    ] = None
    identifiers: Annotated[
        dict[str, str],
        Meta(description="Other numbers by system: `asin`, `goodreads`, `openlibrary`, `librarything`, `oclc`, …"),
    ] = msgspec.field(default_factory=dict)
    warnings: Annotated[tuple[str, ...], Meta(description="What could not be taken as given, for a person.")] = ()
    enriched: Annotated[
        EnrichedBook | None,
        Meta(description="What the providers of book data know of it, if the job enriches.", extra=NO_COLUMN),
    ] = None
    enrichment_error: Annotated[
        EnrichmentError | None, Meta(description="Why it was not enriched.", extra=NO_COLUMN)
    ] = None
    plan: Annotated[
        ImportPlan | None, Meta(description="How the file was read; with the first row alone.", extra=NO_COLUMN)
    ] = None


class RowFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The members of a failed row beside its error."""

    row: Annotated[int, Meta(description="The number of the row, from 1, as a spreadsheet shows it.")]
    earlier_row: Annotated[int | None, Meta(description="The row that has the same book, for `E_DUPLICATE`.")] = None
    cells: Annotated[
        dict[str, str] | None,
        Meta(description="Its cells by the names of their columns, 4 KiB at most; none for `E_DUPLICATE`."),
    ] = None
    clipped: Annotated[
        tuple[str, ...], Meta(description="The columns whose cells are longer than `cells` shows them.")
    ] = ()
    field: Annotated[str | None, Meta(description="The column to look at first.")] = None
    plan: Annotated[ImportPlan | None, Meta(description="How the file was read; with the first row alone.")] = None
