"""Saves a job's results: to the standard output, or whole or not at all to a file."""

import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from shelfwire.cli.errors import CommandError
from shelfwire.client import Client, JobHandle

Format = Literal["csv", "ndjson", "json"]


async def save(client: Client, job: JobHandle, form: Format, status: str | None, output: Path | None) -> None:
    """Write the items that are recorded now.

    Args:
        client: speaks to the job's server.
        job: the job.
        form: what to write.
        status: only `ok` or only `failed` items.
        output: the file; None for the standard output.

    Raises:
        RefusedError: the server does not hand them out.
        ConnectionLostError: it cannot be reached.
        CommandError: the file cannot be written.
    """
    parts = _array(client, job, status) if form == "json" else client.export(job, kind=form, status=status)
    async with aclosing(parts):
        if output is None:
            async for part in parts:
                sys.stdout.buffer.write(part)
            sys.stdout.flush()
            return
        try:
            with _replacing(output) as file:
                async for part in parts:
                    file.write(part)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}. Name another file") from None


async def _array(client: Client, job: JobHandle, status: str | None) -> AsyncGenerator[bytes]:
    before = b"["
    async for item in client.results(job, status=status):
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
