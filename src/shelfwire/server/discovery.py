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


class Announcement(msgspec.Struct, frozen=True, rename="camel"):
    """The content of the file.

    Attributes:
        url: the address of the server.
        pid: its process.
        admin_key: the API key of the role `admin` for whoever may read the file, as long as the process lives; older
            servers have none.
    """

    url: str
    pid: int
    admin_key: str | None = None

    def __repr__(self) -> str:
        """Show no key."""
        return f"Announcement({self.url!r}, {self.pid})"


def announcement_in(data: Path) -> Announcement | None:
    """Return what the server of this data folder has left there; it may have died since."""
    try:
        return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Announcement)
    except (OSError, msgspec.MsgspecError):
        return None


def running_server(data: Path) -> str | None:
    """Return the URL of the server that announced itself in this data folder; it may have died since."""
    found = announcement_in(data)
    return None if found is None else found.url


@contextlib.contextmanager
def announced(data: Path, url: str, admin_key: str) -> Iterator[None]:
    """Leave the address of this process's server, and its key, in the data folder until the context ends.

    Where there is no room for it, the server is to be found by its URL alone, and the log says so.
    """
    path = data / FILE_NAME
    try:
        _write(path, msgspec.json.encode(Announcement(url, os.getpid(), admin_key)))
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
