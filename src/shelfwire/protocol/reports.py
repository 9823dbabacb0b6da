"""What a worker outside of the server says of its job: the report, read and checked as far as that needs no state.

Results of items are kept as the bytes they came as. Source: section 9 of the wire contract.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.messages import Count, JobError, Metadata, Millis, WireStruct, clip

MAX_REPORT_BYTES: Final = 1024 * 1024
MAX_REPORT_ITEMS: Final = 1000
MAX_TOTAL: Final = 1_000_000
"""The most items of a job that a remote worker does."""
MAX_REPEATED: Final = 100
"""The most indices that an answer lists as recorded before."""
MIN_LEASE: Final = 1
MAX_LEASE: Final = 3600
DEFAULT_LEASE: Final = 10
"""Seconds that a remote worker holds a job without renewing."""
MAX_WORKER_CHARS: Final = 100
PIPELINE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}$(?!\n)"
"""What follows the end is for Python alone, whose `$` also matches before a line break that ends a text."""
CODE_PATTERN: Final = r"^E_[A-Z0-9_]{1,60}$(?!\n)"
RESERVED_CODES: Final = frozenset(
    {
        *(Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN, Code.NOT_FOUND, Code.JOB_CANCELED, Code.LEASE_LOST),
        *(Code.WORKER_LOST, Code.ATTEMPTS_EXHAUSTED, Code.INTERNAL, Code.STORAGE_UNAVAILABLE, Code.OVERLOADED),
        Code.MAX_RETRIES,
    }
)
"""The codes that only the server or its client may give: whoever reads them acts on them."""

Lease = Annotated[
    Annotated[int, Meta(ge=MIN_LEASE, le=MAX_LEASE)] | None,
    Meta(description=f"Seconds to hold the job without renewing; {DEFAULT_LEASE} where the job is claimed."),
]
PipelineName = Annotated[str, Meta(pattern=PIPELINE_PATTERN, description="The name of the pipeline.")]
WorkerName = Annotated[
    Annotated[str, Meta(max_length=MAX_WORKER_CHARS)] | None,
    Meta(description="What the worker calls itself, for people."),
]
Total = Annotated[
    Annotated[int, Meta(ge=0, le=MAX_TOTAL)] | None,
    Meta(description="Items in the whole input; may grow, and never falls below what is recorded."),
]
_CODE: Final = re.compile(CODE_PATTERN)


class Failure(WireStruct, frozen=True, kw_only=True):
    """Why an item, or the job, failed."""

    code: Annotated[
        str,
        Meta(description="A code of the worker's own, or of the table.", extra_json_schema={"pattern": CODE_PATTERN}),
    ]
    user_message: Annotated[str, Meta(description="What happened and what to do next, for a person.")]
    message: Annotated[str | None, Meta(description="What happened, for a developer; `userMessage` unless given.")] = (
        None
    )
    retryable: Annotated[bool, Meta(description="Whether another try may succeed.")] = False

    def to_result(self) -> dict[str, Any]:
        """Return the members by which results describe the error of an item; its texts are clipped."""
        return {
            "code": self.code,
            "message": clip(self.message or self.user_message),
            "userMessage": clip(self.user_message),
            "retryable": self.retryable,
        }


class JobFailure(Failure, frozen=True, kw_only=True):
    """Why the job as a whole failed."""

    details: Annotated[Any, Meta(description="Further values, for a program.")] = None

    def to_error(self) -> JobError:
        """Return the payload of the job's ending."""
        return JobError(
            code=self.code,
            message=clip(self.message or self.user_message),
            user_message=clip(self.user_message),
            retryable=self.retryable,
            details=self.details,
        )


class ReportedItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The outcome of one item: `result` if it was done, else `error`."""

    index: Annotated[int, Meta(description="Its place in the whole input, from 0.")]
    ok: Annotated[bool, Meta(description="Whether it was done.")]
    title: Annotated[str | None, Meta(description="What a person knows it by.")] = None
    author: Annotated[str | None, Meta(description="Shown beside the title while it is the newest.")] = None
    isbn: Annotated[str | None, Meta(description="Likewise.")] = None
    result: Annotated[msgspec.Raw | msgspec.UnsetType, Meta(description="What came of it: any JSON.")] = msgspec.UNSET
    error: Annotated[Failure | None, Meta(description="Why it failed.")] = None


class Completion(WireStruct, frozen=True, kw_only=True):
    """The job is done."""

    summary: Annotated[str, Meta(description="A sentence for the user about the outcome.")] = ""
    results: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        Meta(description="Any JSON, which the ending shows in place of the list of items."),
    ] = msgspec.UNSET


class Break(WireStruct, frozen=True, kw_only=True):
    """The attempt broke off; the job is tried again, but not for ever."""

    message: Annotated[str, Meta(description="What went wrong, for a developer.")] = ""


class Release(WireStruct, frozen=True, kw_only=True):
    """The worker lets go of the job: so it confirms a stop, or hands the job back."""


class End(WireStruct, frozen=True, kw_only=True):
    """How the attempt ends; one of these."""

    complete: Annotated[Completion | None, Meta(description="The job is done.")] = None
    fail: Annotated[JobFailure | None, Meta(description="The job cannot be done, and ends with this error.")] = None
    retry: Annotated[Break | None, Meta(description="The attempt broke off; it counts against a limit.")] = None
    release: Annotated[Release | None, Meta(description="Lets go of the job, and so confirms a stop.")] = None


class LegacyStatus(WireStruct, frozen=True, kw_only=True):
    """Progress as deployed callers say it; see `protocol.legacy`."""

    progress: Annotated[float, Meta(description="The fraction that is done.")]
    status: Annotated[str, Meta(description="Such as `Enriching (5/10): Dune`, or any other text.")]


class Report(WireStruct, frozen=True, kw_only=True):
    """What a worker says of its job; without content it only renews the lease."""

    number: Annotated[
        Count, Meta(description="Counts the reports of the attempt that have content, from 1; 0 for one that has none.")
    ] = 0
    total_count: Total = None
    metadata: Annotated[Metadata | None, Meta(description="What the job works on.")] = None
    items: Annotated[
        list[ReportedItem],
        Meta(max_length=MAX_REPORT_ITEMS, description="Outcomes; those known already change nothing."),
    ] = msgspec.field(default_factory=list)
    processed_count: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_TOTAL)] | None, Meta(description="How much is done, in work without items.")
    ] = None
    fraction: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, Meta(description="The part that is done, in work without items.")
    ] = None
    current_title: Annotated[str | None, Meta(description="What is being worked on.")] = None
    user_message: Annotated[str | None, Meta(description="A message for the user, beside the counts.")] = None
    legacy: Annotated[LegacyStatus | None, Meta(description="Progress as deployed callers say it.")] = None
    lease_seconds: Lease = None
    end: Annotated[End | None, Meta(description="How the attempt ends.")] = None

    @property
    def has_content(self) -> bool:
        """Whether it changes the job, and so has a number."""
        told = (self.total_count, self.metadata, self.processed_count, self.fraction, self.current_title)
        return bool(self.items) or any(value is not None for value in (*told, self.user_message, self.legacy, self.end))


Stop = Literal["cancel", "pause"]


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The job after a report, which is durable."""

    seq: Annotated[Count, Meta(description="The job's revision.")]
    status: Annotated[str, Meta(description="The job's status.")]
    number: Annotated[Count, Meta(description="The number of the attempt's newest report.")]
    stop: Annotated[
        Stop | None, Meta(description="What the owner has asked for: confirm it with an `end` of `release`.")
    ]
    lease_until: Annotated[
        Millis, Meta(description="When the lease ends, for people; a worker counts from when it sent the report.")
    ]
    repeated: Annotated[
        list[int] | msgspec.UnsetType,
        Meta(description=f"Indices that were recorded before; at most {MAX_REPEATED} are listed."),
    ] = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(Report).decode


def decode_report(body: bytes) -> Report:
    """Read a report.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: it is no report; `E_REPORT_INVALID`: it says something that cannot be. The
            message names the member.
    """
    try:
        report = _decode(body)
        body.decode()  # the decoder passes over what is kept unread
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ShelfwireError(Code.INVALID_REQUEST, f"The report cannot be used: {error}") from None
    for place, item in enumerate(report.items):
        if not item.ok:
            _check_error(item.error, f"items[{place}].error")
        elif item.result is msgspec.UNSET:
            raise ShelfwireError(Code.INVALID_REQUEST, f"items[{place}].result is missing: the item is ok")
    said = [report.processed_count, report.fraction, report.legacy]
    if len(said) - said.count(None) > 1:
        raise _invalid("Give one of processedCount, fraction and legacy: each says how much is done")
    if report.end is not None:
        _check_end(report.end)
    return report


def _check_end(end: End) -> None:
    ways = [end.complete, end.fail, end.retry, end.release]
    if len(ways) - ways.count(None) != 1:
        raise ShelfwireError(Code.INVALID_REQUEST, "end must be one of complete, fail, retry and release")
    if end.fail is not None:
        _check_error(end.fail, "end.fail")


def is_code(code: str) -> bool:
    """Whether this can be the code of an error."""
    return _CODE.search(code) is not None


def _check_error(error: Failure | None, where: str) -> None:
    if error is None:
        raise ShelfwireError(Code.INVALID_REQUEST, f"{where} is missing: it must say why this failed")
    if not is_code(error.code):
        raise _invalid(f"{where}.code must be E_ and 1 to 60 of A-Z, 0-9 and _")
    if error.code in RESERVED_CODES:
        raise _invalid(f"{where}.code is {error.code}, which only the server gives. Choose a code of your own")


def _invalid(reason: str) -> ShelfwireError:
    return ShelfwireError(Code.REPORT_INVALID, reason)


def checksum(body: bytes) -> int:
    """Return what tells a report that is sent again from another one with its number."""
    return zlib.crc32(body)


def ranges(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Return indices as runs, each its first and its last, ascending.

    Args:
        indices: in any order, each once.
    """
    runs: list[tuple[int, int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = runs[-1][0], index
        else:
            runs.append((index, index))
    return runs


class Indices:
    """A set of indices from 0 as one bit each: a job may have a million."""

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        for index in indices:
            self.add(index)

    def add(self, index: int) -> None:
        """Add an index."""
        byte = index >> 3
        if byte >= len(self._bits):
            self._bits.extend(bytes(max(byte + 1 - len(self._bits), len(self._bits))))
        self._bits[byte] |= 1 << (index & 7)

    def __contains__(self, index: int) -> bool:
        byte = index >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (index & 7)))

    def __iter__(self) -> Iterator[int]:
        yield from (index for index in range(self.beyond) if index in self)

    @property
    def beyond(self) -> int:
        """The number that is above all of them; 0 where there are none."""
        last = bytes(self._bits).rstrip(b"\0")
        return (len(last) - 1) * 8 + last[-1].bit_length() if last else 0
