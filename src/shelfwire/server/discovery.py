"""Where the server that holds a data folder listens: a file in the folder, so that others on this machine find it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

ADDRESS_NAME: Final = "server.json"


class Address(msgspec.Struct, frozen=True):
    """Where the server that holds a data folder listens."""

    url: str
    pid: int


def running_server(data: Path) -> str | None:
    """Return the URL of the server that announced itself in this data folder; it may have died since."""
    try:
        return msgspec.json.decode((data / ADDRESS_NAME).read_bytes(), type=Address).url
    except (OSError, msgspec.MsgspecError):
        return None


@contextlib.contextmanager
def announced(data: Path, url: str) -> Iterator[None]:
    """Leave the address of this process's server in the data folder until the context ends."""
    path = data / ADDRESS_NAME
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(Address(url, os.getpid())))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
