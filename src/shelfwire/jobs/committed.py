"""A job as it is committed."""

import msgspec

from shelfwire.protocol.job import JobState


class Committed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A committed row, with the terminal message if the job has ended."""

    state: JobState
    terminal: str | None = None
