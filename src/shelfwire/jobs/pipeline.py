"""What a pipeline declares: the class that every kind of job inherits."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import Meta

from shelfwire.errors import Code, ErrorCode, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.store import Item

OPTIONS: Final = "options"
"""The name of the input that holds a job's options, as JSON; there is none where all are at their defaults."""
MENDED: Final = "mended"
"""The name of the input of a retry that holds what its owner has mended; see `Pipeline.mending`."""
JOB_ID: Final = "jobId"
"""The form field, or member of a JSON body, with the caller's own choice of an id; it is no input and no option."""
CALLBACK_URL: Final = "callbackUrl"
"""The same, with the address that is called when the job has ended."""
NO_COLUMN: Final[dict[str, Any]] = {"column": False}
"""Put `Meta(extra=NO_COLUMN)` on a field of a result to leave it out of CSV exports."""

ReadInput = Callable[[str], Awaitable[bytes]]
"""Returns an input of a job by its name; empty if there is none."""
T = TypeVar("T", bound=msgspec.Struct)


class OriginalTable(ABC):
    """The input of a job as the table that a person sent.

    Attributes:
        header: the names of its columns.
    """

    header: Sequence[str]

    @abstractmethod
    def rows(self, failed: Sequence[Item]) -> Sequence[Sequence[str]]:
        """Return the cells of failed items, a row for each, as they stood in the table.

        It is called in a thread with one page after the other, in the order of the input.

        Args:
            failed: the items.
        """


class NoOptions(msgspec.Struct, frozen=True):
    """The options of a pipeline that takes none."""


class Pipeline(ABC):
    """A kind of job. Inherit it, declare what is below, and write `run`; only `name` and `run` are needed.

    Attributes:
        name: the name on the wire: up to 64 of a-z, 0-9 and _, beginning with a letter.
        options: how a job may be asked to work: a struct whose fields all have defaults. Each is a form field or a
            query parameter of the request that makes the job, is checked there, and is described in the OpenAPI
            document.
        result: the type of what `Job.record` is given. A struct describes the results in the OpenAPI document, and each
            of its fields is a column where results are asked for as CSV, but for those marked with `NO_COLUMN`.
        line: the struct that is a line where results are asked for as CSV, if that is not `result`; see `lines`.
        failure: a struct of the members that `Job.fail` adds to an error; None if it adds none.
        results_name: what the list of succeeded items is called in the inline results, beside `errors`.
        codes: its own error codes; None if it has none.
        mending: how an item that failed may be mended for a retry: a struct of the members that come with its index.
            The pipeline finds them with `mended_of` in the input `MENDED`. None if it takes none.
        correction: what a person may correct of an item: a struct of the members that come with its index; see
            `corrected`. None if nothing can be.
        slots: how many of its jobs run at once on a node where the setting `pipeline_slots` says nothing of it, 1 at
            least; None for as many as the other pipelines leave. See `jobs.slots`.
    """

    name: str
    options: type[msgspec.Struct] = NoOptions
    result: Any = Any
    line: type[msgspec.Struct] | None = None
    failure: type[msgspec.Struct] | None = None
    results_name: str = "items"
    codes: type[ErrorCode] | None = None
    mending: type[msgspec.Struct] | None = None
    correction: type[msgspec.Struct] | None = None
    slots: int | None = None

    @abstractmethod
    async def run(self, job: Job) -> str:
        """Do the job, or what is left of it, and return a summary for a person.

        May be called again for the same job after a crash; `Job.pending` then passes over what is in the log. It may be
        cancelled at any `await`.

        Raises:
            ShelfwireError: the job as a whole cannot be done, and trying again would not help.
            Exception: anything else ends the attempt, and the job is tried again.
        """

    def ready(self) -> None:  # noqa: B027 - optional
        """Check that jobs of this kind can be done here; called before one is made.

        Raises:
            ShelfwireError: they cannot; the request is refused with it.
        """

    def check_options(self, options: Any) -> None:  # noqa: B027 - optional
        """Check options that have the right form; called before a job is made with them.

        Args:
            options: an instance of `options`.

        Raises:
            ShelfwireError: they cannot be used; the request is refused with it.
        """

    def check_request(self, content: Any) -> int | None:
        """Check a body of JSON that a job is to be made of, and return the number of its items if that is known.

        Args:
            content: the body, parsed. The job's input `request` is the body as it came.

        Raises:
            ShelfwireError: it cannot be used; the request is refused with it.
        """
        del content
        return None

    def fold(self, items: Sequence[Item]) -> Mapping[str, Any]:
        """Build the inline results, all but `errors`, from the first items of a job's log, succeeded and failed.

        It is called within a transaction that other jobs share: it must be pure and quick.
        """
        return {self.results_name: [item.body for item in items if item.ok]}

    def lines(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return what is a line each where results are asked for as CSV; the items of the page unless overridden.

        Args:
            items: a page, succeeded and failed.

        Returns:
            Items in the same order; the body of a succeeded one is a `line`. An item may become several.
        """
        return items

    def corrected(self, item: Item, corrections: Sequence[Any]) -> Item | None:
        """Return an item with what a person has corrected of it; None if it was struck out.

        Args:
            item: the item as it was recorded, done or failed.
            corrections: instances of `correction`, one at least.
        """
        del corrections
        return item

    async def original(self, read: ReadInput) -> OriginalTable | None:
        """Return the input of a job as the table that a person sent; None if it is no table.

        Args:
            read: reads the job's inputs.

        Raises:
            ShelfwireError: the input cannot be read.
        """
        del read
        return None

    async def close(self) -> None:  # noqa: B027 - optional
        """Release what the pipeline holds; awaited once, when the server stops."""


class UnavailablePipeline(Pipeline):
    """Stands for a pipeline that cannot be loaded here, and says what is missing.

    New jobs are refused; existing ones stay queued.

    Args:
        name: the name of the pipeline.
        reason: what is missing, and the command that installs it.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def ready(self) -> None:
        """Refuse.

        Raises:
            ShelfwireError: `E_PIPELINE_UNAVAILABLE`.
        """
        raise ShelfwireError(Code.PIPELINE_UNAVAILABLE, f"The pipeline {self.name} cannot run here: {self._reason}")

    async def run(self, job: Job) -> str:
        """Refuse. See `ready`."""
        del job
        self.ready()
        return ""


class RemotePipeline(Pipeline):
    """Stands for a pipeline whose jobs are claimed by workers outside of the server; see `jobs.remote`.

    Args:
        name: the name of the pipeline.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, job: Job) -> str:
        """Refuse: no worker inside the server is given such a job."""
        raise NotImplementedError(f"job {job.id} of {self.name} is for a worker outside of the server")


def stored_options(options: msgspec.Struct) -> bytes | None:
    """Return the content of the input `OPTIONS`; None where there is none."""
    return None if options == type(options)() else msgspec.json.encode(options)


def mended_of(stored: bytes, kind: type[T]) -> dict[int, T]:
    """Return what is mended, by the item's index in the input of the first job.

    Args:
        stored: the input `MENDED`; empty where nothing is.
        kind: the pipeline's `mending`.
    """
    return msgspec.json.decode(stored, type=dict[int, kind]) if stored else {}  # type: ignore[valid-type]  # a variable


def columns_of(pipeline: Pipeline) -> Sequence[str]:
    """The names of the columns of a pipeline's results, as they are on the wire; none where a line is no struct."""
    kind = pipeline.line or pipeline.result
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return ()
    return tuple(field.encode_name for field in msgspec.structs.fields(kind) if _is_column(field.type))


def _is_column(described: Any) -> bool:
    return not any(isinstance(part, Meta) and part.extra == NO_COLUMN for part in get_args(described))
