"""Finds the server of a data folder: it leaves its address in a file there, for other programs on this machine."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

FILE_NAME: Final = "server.json"

log = structlog.get_logger(__name__)


class Announcement(msgspec.Struct, frozen=True):
    """The content of the file: the address of the server, and its process."""

    url: str
    pid: int


def running_server(data: Path) -> str | None:
    """Return the URL of the server that announced itself in this data folder; it may have died since."""
    try:
        return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Announcement).url
    except (OSError, msgspec.MsgspecError):
        return None


@contextlib.contextmanager
def announced(data: Path, url: str) -> Iterator[None]:
    """Leave the address of this process's server in the data folder until the context ends.

    Where there is no room for it, the server is to be found by its URL alone, and the log says so.
    """
    path = data / FILE_NAME
    try:
        _write(path, msgspec.json.encode(Announcement(url, os.getpid())))
    except OSError as error:
        log.warning("other commands will not find this server; name it with --server", url=url, reason=error.strerror)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    # A new file, for its owner alone: one that is there may have another mode, or be open in another process.
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(made).replace(path)
    except OSError:
        Path(made).unlink(missing_ok=True)
        raise
