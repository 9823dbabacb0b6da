"""The pipeline: each line of the input `file` is an item."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from shelfwire import Job, Pipeline, ShelfwireError
from shelfwire.jobs.store import Item
from shelfwire_glossary import Glossary, GlossaryCode

WORD: Final = re.compile(r"[\w'-]+")


class CheckOptions(msgspec.Struct, frozen=True):
    """How a text may be checked: form fields or query parameters of the request."""

    strict: Annotated[bool, msgspec.Meta(description="Let lines fail that have a term of the glossary.")] = False
    only: Annotated[str, msgspec.Meta(max_length=100, description="Look for this term alone.")] = ""


class CheckedLine(msgspec.Struct, frozen=True):
    """The result of a line: members of the results, and columns of their CSV export."""

    line: Annotated[int, msgspec.Meta(ge=1, description="Its number, from 1.")]
    terms: Annotated[list[str], msgspec.Meta(description="The terms in it that the glossary replaces.")]


class OldTerms(msgspec.Struct, frozen=True):
    """The members of a failed line's error beside those that every error has."""

    replacements: Annotated[dict[str, str], msgspec.Meta(description="The replacement of each term.")]


class GlossaryCheck(Pipeline):
    """Look for terms of the glossary.

    Args:
        glossary: the service.
    """

    name = "glossary_check"
    options = CheckOptions
    result = CheckedLine
    failure = OldTerms
    results_name = "lines"
    codes = GlossaryCode

    def __init__(self, glossary: Glossary) -> None:
        self._glossary = glossary

    def ready(self) -> None:
        """Refuse jobs where there is no glossary.

        Raises:
            ShelfwireError: `E_NO_GLOSSARY`.
        """
        if not self._glossary.replacements:
            raise ShelfwireError(GlossaryCode.NO_GLOSSARY)

    def check_options(self, options: CheckOptions) -> None:
        """Refuse a term that the glossary does not have.

        Raises:
            ShelfwireError: `E_UNKNOWN_TERM`.
        """
        if options.only and options.only.lower() not in self._glossary.replacements:
            raise ShelfwireError(GlossaryCode.UNKNOWN_TERM, f"The glossary does not have the term {options.only!r}")

    async def run(self, job: Job) -> str:
        """Check every line that is not checked yet."""
        self.ready()
        options: CheckOptions = job.options
        lines = (await job.input("file")).decode(errors="replace").splitlines()
        await job.start(len(lines), job.metadata)
        async for index, line in job.pending(lines):
            found = self._found(line, options.only.lower())
            self._glossary.count_line(found=bool(found))
            if found and options.strict:
                advice = ", ".join(f"“{new}” for “{old}”" for old, new in found.items())
                error = ShelfwireError(GlossaryCode.OLD_TERM, user_message=f"Line {index + 1}: write {advice}.")
                job.fail(index, error, title=line, replacements=found)
            else:
                job.record(index, CheckedLine(index + 1, list(found)), title=line)
        return f"Checked {job.succeeded + job.failed} lines"

    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        """Add to the list of lines how often each term was found."""
        lines = [msgspec.json.decode(item.body, type=CheckedLine) for item in items if item.ok]
        return {self.results_name: lines, "terms": Counter(term for line in lines for term in line.terms)}

    def _found(self, line: str, only: str) -> dict[str, str]:
        replacements = self._glossary.replacements
        words = dict.fromkeys(word.lower() for word in WORD.findall(line))
        return {word: replacements[word] for word in words if word in replacements and only in {"", word}}
