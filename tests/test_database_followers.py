"""Followers of a job at one process, and what ends them at another that shares its database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from shelfwire.protocol.close_codes import CloseCode
from shelfwire.settings import Secret
from tests.live import Server, live_server, next_of

SECONDS = 60.0
pytestmark = pytest.mark.parametrize("fast", [True, False], ids=["fast", "usual"])


@asynccontextmanager
async def two_nodes(folder: Path, database: str, *, fast: bool) -> AsyncIterator[tuple[Server, Server]]:
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"database": Secret(database), "fast": fast, "workers": 1, "gated": True}
        one, two = [await stack.enter_async_context(live_server(folder / name, **options)) for name in ("one", "two")]
        async with asyncio.timeout(SECONDS):
            yield one, two


async def running(one: Server) -> dict[str, Any]:
    job = await one.submit()
    async with one.socket(job) as socket:
        await next_of(socket, "job_started")
    return job


async def with_other_token(server: Server, job: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    answer = await server.ask("POST", job, "/token", json={"scopes": ["watch", "control"], **wanted})
    assert answer.status_code == 200, answer.text
    return {**job, "token": answer.json()["data"]["token"]}


async def rest(socket: ClientConnection) -> tuple[str, int | None]:
    """Return the last frame until the end, and the code of the close."""
    last = ""
    with contextlib.suppress(ConnectionClosedError):  # what any code but 1000 is
        async for frame in socket:
            last = str(frame)
    return last, socket.close_code


async def test_a_token_that_is_revoked_at_one_process_ends_its_followers_at_the_other(
    tmp_path: Path, database: str, *, fast: bool
) -> None:
    async with two_nodes(tmp_path, database, fast=fast) as (one, two):
        job = await running(one)
        lent = await with_other_token(one, job)
        async with two.socket(lent) as theirs, two.socket(job) as own:
            await next_of(theirs, "job_started")
            await next_of(own, "job_started")
            assert (await one.ask("DELETE", lent, "/token")).status_code == 204
            assert (await rest(theirs))[1] == CloseCode.MISUSE
            assert own.close_code is None


async def test_a_token_that_expires_ends_its_followers_at_both_processes(
    tmp_path: Path, database: str, *, fast: bool
) -> None:
    async with two_nodes(tmp_path, database, fast=fast) as (one, two):
        job = await running(one)
        lent = await with_other_token(one, job, expiresIn=2)
        async with one.socket(lent) as here, two.socket(lent) as there, two.socket(job) as own:
            assert [(await rest(socket))[1] for socket in (here, there)] == [CloseCode.RESTARTING] * 2
            assert own.close_code is None


async def test_a_job_that_is_erased_at_one_process_ends_for_its_followers_at_both(
    tmp_path: Path, database: str, *, fast: bool
) -> None:
    async with two_nodes(tmp_path, database, fast=fast) as (one, two):
        job = await running(one)
        async with one.socket(job) as here, two.socket(job) as there:
            for socket in (here, there):
                await next_of(socket, "job_started")
            assert (await one.ask("DELETE", job)).status_code == 204
            ends = [await rest(socket) for socket in (here, there)]
    assert [code for _, code in ends] == [1000, 1000]
    assert all("E_JOB_CANCELED" in last for last, _ in ends)
