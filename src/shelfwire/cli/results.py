"""Saves a job's results: to the standard output, or whole or not at all to a file."""

import sys
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, get_args

import msgspec

from shelfwire.cli.errors import CommandError
from shelfwire.cli.extensions import Export
from shelfwire.cli.running import written
from shelfwire.client import Client, JobHandle

Parts = Callable[[Client, JobHandle], AsyncGenerator[bytes]]
"""The parts of a file with the results of a job."""
Format = Literal["csv", "ndjson", "json"]
"""What is written without a plug-in."""
OWN_FORMATS: Final[Sequence[Format]] = get_args(Format)
CSV: Final = "csv"
_ENDINGS: Final = {"jsonl": "ndjson", "htm": "html"}
"""Endings of files that are no names of formats."""


def format_for(output: Path | None, formats: Collection[str]) -> str:
    """Return the format of a file by its ending; CSV where that says nothing."""
    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    form = _ENDINGS.get(ending, ending)
    return form if form in formats else CSV


def parts_of(form: str, status: str | None = None, *, export: Export | None = None, corrected: bool = True) -> Parts:
    """Return what makes a file of results.

    Args:
        form: `csv`, `json`, `ndjson`, or the name of `export`.
        status: only `ok` or only `failed` items.
        export: writes a format of a plug-in.
        corrected: whether what a person has corrected is applied.
    """

    def parts(client: Client, job: JobHandle) -> AsyncGenerator[bytes]:
        if export is not None:
            return _exported(export, client.results(job, status=status, corrected=corrected))
        if form == "json":
            return _array(client, job, status, corrected=corrected)
        return client.export(job, kind="ndjson" if form == "ndjson" else "csv", status=status, corrected=corrected)

    return parts


def original_rows(client: Client, job: JobHandle) -> AsyncGenerator[bytes]:
    """Return the failed items as they were sent, with the reason."""
    return client.export(job, original=True)


async def save(client: Client, job: JobHandle, parts_from: Parts, output: Path | None) -> None:
    """Write the items that are recorded now.

    Args:
        client: speaks to the job's server.
        job: the job.
        parts_from: what to write.
        output: the file; None for the standard output.

    Raises:
        RefusedError: the server does not hand them out.
        ConnectionLostError: it cannot be reached.
        CommandError: the file cannot be written.
    """
    parts = parts_from(client, job)
    async with aclosing(parts):
        if output is None:
            async for part in parts:
                await written(partial(sys.stdout.buffer.write, part))
            await written(sys.stdout.flush)
            return
        try:
            with _replacing(output) as file:
                async for part in parts:
                    file.write(part)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}. Name another file") from None


async def _exported(export: Export, items: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[bytes]:
    async with aclosing(items):
        async for part in export(items):
            yield part


async def _array(client: Client, job: JobHandle, status: str | None, *, corrected: bool) -> AsyncGenerator[bytes]:
    before = b"["
    async for item in client.results(job, status=status, corrected=corrected):
        yield before + msgspec.json.encode(item)
        before = b",\n"
    yield b"]\n" if before != b"[" else b"[]\n"


@contextmanager
def _replacing(output: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `output` once it is whole; a device is written to as it is."""
    if output.exists() and not output.is_file():
        with output.open("wb") as file:
            yield file
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
