"""A primary that dies, whose synchronous copy takes its place: nothing that was confirmed or shown is lost."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shelfwire.books.client import BooksClient
from tests import postgres
from tests.faults import kills
from tests.faults.witness import Witness
from tests.ports import free_port
from tests.servers import Server

SECONDS = 90
IS_WAITING = """
SELECT true FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND xact_start < clock_timestamp() - interval '5 s'
"""
"""Whether a commit has waited for the copy for longer than any time-out of a transaction."""
RECORDED = """
SELECT coalesce((state::json ->> 'succeeded')::int, 0) + coalesce((state::json ->> 'failed')::int, 0)
FROM shelfwire.job WHERE status = 'running'
"""
SETTINGS = {
    **postgres.SETTINGS,
    "wal_level": "replica",
    "max_wal_senders": "4",
}


class Member:
    """A PostgreSQL server of a pair."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{postgres.USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        command: list[Any] = [_binary("postgres"), "-D", self.data, *options]
        self._process = subprocess.Popen(command, **postgres._quiet())  # noqa: S603
        postgres._wait(postgres.Server(self.port), self._process)

    def end(self) -> None:
        """End it as a power failure does; its disk stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(postgres.START_SECONDS)
            self._process = None

    def run(self, statement: str) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


@contextmanager
def pair() -> Iterator[tuple[Member, Member]]:
    """A primary and a copy, without which nothing is confirmed."""
    folder = Path(tempfile.mkdtemp(prefix="shelfwire-pair-"))
    owner = postgres._owner()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    primary, copy = Member(folder / "primary"), Member(folder / "copy")
    try:
        init: list[Any] = [
            "-D",
            primary.data,
            "-U",
            postgres.USER,
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        ]
        subprocess.run([_binary("initdb"), *init], check=True, **postgres._quiet())  # noqa: S603
        primary.start()
        source = f"host=127.0.0.1 port={primary.port} user={postgres.USER} application_name=copy"
        base: list[Any] = ["-D", copy.data, "-d", source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        subprocess.run([_binary("pg_basebackup"), *base], check=True, **postgres._quiet())  # noqa: S603
        copy.start()
        primary.run("ALTER SYSTEM SET synchronous_standby_names = 'copy'")
        primary.run("SELECT pg_reload_conf()")
        yield primary, copy
    finally:
        for member in (primary, copy):
            member.end()
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> Path:
    folder = postgres.programs()
    assert folder is not None
    return folder / name


@pytest.fixture
def members(postgres_server: postgres.Server) -> Iterator[tuple[Member, Member]]:
    del postgres_server  # it is skipped without one
    if not _binary("pg_basebackup").exists():
        pytest.skip("there is no pg_basebackup")
    with pair() as running:
        yield running


async def test_nothing_is_shown_that_the_copy_does_not_have_and_all_goes_on_where_it_takes_over(
    tmp_path: Path, members: tuple[Member, Member]
) -> None:
    primary, copy = members
    url = f"postgresql://{postgres.USER}@127.0.0.1:{primary.port},127.0.0.1:{copy.port}/postgres"
    path = kills.make_file(tmp_path / "library.csv", seed=11)
    async with Server(tmp_path / "node", {"database": url}) as node, BooksClient(node.url) as client:
        truth = await kills.undisturbed(node.url, path)
        job = await client.import_csv(path)
        witness = Witness(node.url, job)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.follow())
            await witness.sees(lambda: witness.processed >= 0.2 * kills.ROWS)
            receiver = copy.run("SELECT pid FROM pg_stat_wal_receiver")
            os.kill(receiver, signal.SIGSTOP)
            try:
                async with asyncio.timeout(SECONDS / 3):
                    while not await asyncio.to_thread(primary.run, IS_WAITING):
                        """Each look takes some milliseconds."""
                assert witness.processed <= await asyncio.to_thread(copy.run, RECORDED)
            finally:
                primary.end()
                os.kill(receiver, signal.SIGCONT)
            copy.run("SELECT pg_promote()")
        assert await kills.outcome(client, job) == truth
