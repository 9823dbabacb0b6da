"""Opens a list that comes in a workbook or an archive, in a process of its own and under limits."""

import asyncio
import contextlib
import os
import sys
from typing import Final, NamedTuple

import msgspec

from shelfwire.books.csv_import.problems import UnreadableCsv

COMMAND: Final = (sys.executable, "-m", "shelfwire.books.csv_import.unpack_process")
PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT", "COVERAGE_PROCESS_START")
"""The environment variables that the process inherits; it needs no keys."""
TOO_MUCH: Final = (
    "This file takes too much to open. Save the list as CSV in your spreadsheet program and import that file."
)
PATIENCE: Final = 180.0
"""Seconds by the clock on the wall; the process gets a third of them of computing."""
_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""The first bytes of a ZIP archive with files in it, and without: section 4.3 of PKWARE's APPNOTE."""


class Unpacked(NamedTuple):
    """A list as text.

    Attributes:
        data: the bytes of a CSV file.
        note: what a person should know of how it was found; may be empty.
    """

    data: bytes
    note: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What became of a container, as the process says it in one line of JSON before the list.

    Attributes:
        note: see `Unpacked`.
        problem: why there is no list, for a person; None if it follows.
    """

    note: str = ""
    problem: str | None = None


def is_container(data: bytes) -> bool:
    """Whether a file is a workbook or an archive, by its first bytes."""
    return data.startswith(_MAGIC)


async def opened(data: bytes) -> Unpacked:
    """Return the list in a workbook or an archive; a file that is neither as it is.

    Raises:
        UnreadableCsv: there is no list in it, or several, or opening it takes too much.
    """
    if not is_container(data):
        return Unpacked(data)
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
        start_new_session=True,  # Ctrl-C is for the server
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate(data)
    except TimeoutError:
        raise UnreadableCsv(TOO_MUCH) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
    head, _, content = out.partition(b"\n")
    if process.returncode:
        raise UnreadableCsv(TOO_MUCH)
    answer = msgspec.json.decode(head, type=Answer)
    if answer.problem is not None:
        raise UnreadableCsv(answer.problem)
    return Unpacked(content, answer.note)
