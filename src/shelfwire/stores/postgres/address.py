"""The address of a database, and with what a connection to it is opened."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg
from psycopg import AsyncConnection, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.postgres.connections import Connect

DEFAULTS: Final[Mapping[str, str | int]] = {
    "target_session_attrs": "read-write",
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
"""What a connection is opened with unless the URL says otherwise. One that is dead is to be noticed within seconds."""
OFF: Final = "off"
"""In place of a URL: hints of other processes are not heard."""
_PORTS: Final = re.compile(r"[\d,]*")
_UNKNOWN: Final = re.compile(r'invalid URI query parameter: "([a-z_]{1,40})"')
KNOWS_SYSTEM_ROOTS: Final = 160_000
"""The libpq from which `sslrootcert=system` means the certificates of the machine."""


class Database(NamedTuple):
    """Which database, and how this process uses it.

    Attributes:
        url: `postgresql://…`, as libpq has it; several hosts may be named, of which one that can be written is taken.
        listen: the same without a pooler between, to hear of other processes at once; `url` unless given, `OFF` for
            none.
        pool_size: the most connections that requests use.
        node: the name of this process, for people.
    """

    url: str
    listen: str | None = None
    pool_size: int = 4
    node: str = ""


def connector(conninfo: str) -> Connect:
    """Return what opens connections to a database."""

    async def connect() -> AsyncConnection:
        # No prepared statements: they are of a session, and a pooler between gives each transaction another one.
        return await AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)

    return connect


def conninfo_of(url: str, node: str) -> str:
    """Return what libpq connects with to the database of a URL.

    Args:
        url: see `Database`.
        node: likewise; the database shows it to its operator.

    Raises:
        ShelfwireError: `E_STORAGE_UNAVAILABLE`: the URL cannot be read. The error does not contain it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise _unreadable(_unknown_parameter(error)) from None
    if "@" in str(given.get("host") or "") or not _PORTS.fullmatch(str(given.get("port") or "")):
        # The end of a password that has such a character itself; errors of the connection would show it.
        raise _unreadable()
    own: dict[str, str | int] = {**DEFAULTS, "application_name": f"shelfwire {node}"}
    hosts = [*str(given.get("host") or "").split(","), *str(given.get("hostaddr") or "").split(",")]
    if not all(map(_is_local, hosts)) and "sslmode" not in given:
        own["sslmode"] = "verify-full"
        if "sslrootcert" not in given and pq.version() >= KNOWS_SYSTEM_ROOTS:
            own["sslrootcert"] = "system"
    return make_conninfo("", **{**own, **given})


def _unknown_parameter(error: psycopg.ProgrammingError) -> str:
    """Name the parameter that libpq does not know; whatever else it says may show a password."""
    found = _UNKNOWN.search(str(error))
    return "" if found is None else f" It has a parameter that there is not: {found[1]}."


def _unreadable(why: str = "") -> ShelfwireError:
    return ShelfwireError(
        Code.STORAGE_UNAVAILABLE,
        f"The database URL cannot be read.{why} It looks like postgresql://user:password@host:5432/name; characters of "
        "user and password such as @ : / # ? are percent-encoded, @ as %40",
    )


def _is_local(host: str) -> bool:
    """Whether what is sent to a host does not leave the machine; "" and a path are its Unix socket."""
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
