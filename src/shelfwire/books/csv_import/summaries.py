"""The outcome of an import in sentences, for a person."""

from typing import Final

from shelfwire.books.codes import BookCode
from shelfwire.books.csv_import.imported_book import ImportPlan
from shelfwire.books.csv_import.llm_rows import LlmRowReader

MOST_NAMED: Final = 12
"""The most unused columns that a summary names; the results name all."""
MOST_DOUBTS: Final = 3


def summary(added: int, failed: int) -> str:
    """The outcome of the import, for a person."""
    books = f"Imported {added:,} {'book' if added == 1 else 'books'}"
    return books if not failed else f"{books}; {failed:,} {'row was' if failed == 1 else 'rows were'} not imported"


def plan_summary(plan: ImportPlan) -> str:
    """What a person should know of how the file was read: columns that were not used, and what was guessed."""
    unused = [f'{column.column} ("{column.example}")' for column in plan.unused_columns[:MOST_NAMED]]
    more = len(plan.unused_columns) - len(unused)
    named = ", ".join(unused) + (f" and {more} more" if more else "")
    doubts = [doubt.rstrip(".") for doubt in plan.warnings[:MOST_DOUBTS]]
    return ". ".join([*doubts, *([f"Columns that were not used: {named}"] if unused else [])])


def llm_summary(reader: LlmRowReader, *, required: bool) -> str:
    """The outcome of Gemini's help, for a person."""
    rows = f"{reader.unanswered:,} {'row' if reader.unanswered == 1 else 'rows'}"
    parts = []
    if reader.failed is not None:
        consequence = f"{rows} were read without it" if reader.unanswered else "the columns were guessed"
        missing = f"Gemini was not available ({reader.failed.code})"
        parts.append(f"{missing} for {rows}" if required else f"{missing}: {consequence}")
        if reader.failed.code == BookCode.GEMINI_REJECTED:
            parts.append(reader.failed.message)
    elif reader.unanswered:
        parts.append(f"Gemini had no answer for {rows}")
    if reader.usage.total:
        parts.append(f"Gemini used {reader.usage.total:,} tokens")
    return "; ".join(parts)
