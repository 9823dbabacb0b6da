"""Finding jobs: what they can be found by, and the pages of those that match."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from shelfwire.protocol.job import JobState, Status

MAX_COUNT: Final = 10_000
"""Jobs beyond which there are only more: to count all of them would take ever longer."""
MAX_LOOKED_AT: Final = 50_000
"""Jobs that one page of a search looks at."""
MAX_TAGGED: Final = 10_000
"""Jobs that one page looks at of those with a tag, whose rows have to be read for anything else."""
MAX_LABEL: Final = 200
MAX_QUERY: Final = 200
_ID_PREFIX: Final = re.compile(r"[0-9a-f]{8,32}")
_CODE: Final = re.compile(r"E_[A-Z0-9_]{1,62}")
_GROUPS: Final = (8, 12, 16, 20)
"""Digits of a UUID that a hyphen follows."""

Time = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Text = Annotated[str, Meta(max_length=MAX_QUERY, pattern=r"^[^\u0000]*$")]
"""A text to find by. No store can hold the character that is left out."""


class Position(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A place in the order of all jobs.

    Attributes:
        created_at: when the job was made.
        id: the job.
    """

    created_at: Time
    id: Text


class Search(msgspec.Struct, frozen=True):
    """A text to find jobs by, as what it is taken for; exactly one is set.

    Attributes:
        id_prefix: the beginning of an id.
        code: an error code.
        part: a part of a file's name, in lower case.
    """

    id_prefix: str | None = None
    code: str | None = None
    part: str | None = None


OfPipeline = Annotated[Text | None, Meta(description="The pipeline.")]
WithTag = Annotated[Text | None, Meta(description="One of its tags.")]
Since = Annotated[Time | None, Meta(description="Made at this time or later, in ms since the epoch.")]
Until = Annotated[Time | None, Meta(description="Made before this time, in ms since the epoch.")]
Searched = Annotated[
    Text | None,
    Meta(description="8 or more digits of the beginning of its id, its error code, or a part of its file's name."),
]


class JobFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What jobs are found by; all that is given must be so.

    Attributes:
        status: any of these; all if empty.
        pipeline: the pipeline.
        tag: one of the job's tags.
        since, until: made at or after the one and before the other, in milliseconds since the epoch.
        q: 8 or more digits of the beginning of its id, its error code, or a part of its file's name.
    """

    status: Annotated[tuple[Status, ...], Meta(description="Any of these; all if it is left out.")] = ()
    pipeline: OfPipeline = None
    tag: WithTag = None
    since: Since = None
    until: Until = None
    q: Searched = None

    @property
    def search(self) -> Search | None:
        """The text, as what it is taken for; None if there is none."""
        text = (self.q or "").strip()
        if not text:
            return None
        digits = text.lower().replace("-", "")
        if _ID_PREFIX.fullmatch(digits):
            return Search(id_prefix="".join(f"-{d}" if n in _GROUPS else d for n, d in enumerate(digits)))
        return Search(code=text) if _CODE.fullmatch(text) else Search(part=text.lower())

    def matches(self, state: JobState) -> bool:
        """Whether a job is found."""
        search = self.search
        return (
            (not self.status or state.status in self.status)
            and self.pipeline in {None, state.pipeline}
            and (self.tag is None or self.tag in state.tags)
            and (self.since is None or state.created_at >= self.since)
            and (self.until is None or state.created_at < self.until)
            and (
                search is None
                or (search.id_prefix is not None and state.id.startswith(search.id_prefix))
                or (search.code is not None and search.code == code_of(state))
                or (search.part is not None and search.part in (label_of(state) or ""))
            )
        )


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the jobs that match.

    Attributes:
        states: their rows, in order.
        next: where the next page begins behind; None if this is the last. It may be set where few or none were found:
            a page looks at `MAX_LOOKED_AT` jobs, or `MAX_TAGGED`, at most.
    """

    states: Sequence[JobState]
    next: Position | None = None


StatusCounts = Mapping[Status, int]
"""How many jobs match, by status; `MAX_COUNT + 1` stands for more than `MAX_COUNT`."""


def label_of(state: JobState) -> str | None:
    """What a job is searched by: the name of its file, in lower case."""
    name = None if state.metadata is None else state.metadata.file_name
    return None if name is None else name.lower()[:MAX_LABEL]


def code_of(state: JobState) -> str | None:
    """The error code of a job that has failed or was canceled."""
    return None if state.error is None else str(state.error.code)
