"""Checks of the files that commands read and write, before any work is done."""

import stat
from collections.abc import Sequence
from pathlib import Path

from shelfwire.cli.errors import CommandError


def check_output(output: Path, files: Sequence[Path]) -> None:
    """Refuse a file that could not be written afterwards, or that would overwrite an input.

    Raises:
        CommandError: it is refused.
    """
    try:
        has_folder, is_folder = output.parent.is_dir(), output.is_dir()
        is_input = output.exists() and any(output.samefile(file) for file in files)
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}. Name another file") from None
    if not has_folder:
        raise CommandError(f"There is no folder {output.parent} to write {output.name} to")
    if is_folder:
        raise CommandError(f"{output} is a folder. Name a file to write to")
    if is_input:
        raise CommandError(f"{output} is the file to read. Name another one to write to, so that it is not lost")


def check_file(path: Path, what: str = "CSV file") -> int:
    """Refuse a file that cannot be sent, and return its size in bytes.

    Args:
        path: the file.
        what: what it should be, for the message.

    Raises:
        CommandError: it is refused.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}. Check the name") from None
    if stat.S_ISDIR(status.st_mode):
        raise CommandError(f"{path} is a folder. Name one {what} in it")
    if not stat.S_ISREG(status.st_mode):
        raise CommandError(f"{path} is no ordinary file. Save its contents as a {what} first")
    if not status.st_size:
        raise CommandError(f"{path} is empty. {'Take' if what == 'photo' else 'Export'} it again")
    return status.st_size
