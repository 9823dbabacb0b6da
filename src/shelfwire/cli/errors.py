"""How a command ends: its exit codes, and the one exception that ends it with a line for a person."""

from enum import IntEnum
from pathlib import Path
from typing import Final

from shelfwire.protocol.job import Status


class Exit(IntEnum):
    """The exit codes of every command; an interrupted one ends with 128 and the signal's number, as shells do."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELED = 3
    UNREACHABLE = 4


OF_STATUS: Final = {Status.COMPLETE: Exit.OK, Status.FAILED: Exit.FAILED, Status.CANCELED: Exit.CANCELED}
"""What it means for the exit code how a job ended."""


class CommandError(Exception):
    """The command cannot go on. The text says what happened, to what, and what to do next.

    Attributes:
        exit_code: what the process ends with.
    """

    def __init__(self, text: str, exit_code: Exit = Exit.USAGE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class FolderBusyError(CommandError):
    """Another process holds the data folder."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"Another shelfwire process holds the data folder {data}. Use its server, or name another folder: --data"
        )
