"""Followers that are slow, silent or half gone: they get their ending all the same, and cost nobody else anything."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from shelfwire.client import Client, JobHandle
from shelfwire.jobs.hub import Hub
from shelfwire.protocol.messages import JobProgress, Message, encode
from shelfwire.protocol.reconnect import Transport
from shelfwire.server.fast.connections import SocketFollower
from shelfwire.server.ws_protocol import QUEUED_BYTES, WebSocketProtocol
from tests.faults.plans import Fault, Moment, Plan
from tests.faults.proxy import Planner, Proxy
from tests.live import MakeServer, Server
from tests.story import legal_story

SOON = (0.01,) * 5
PATIENCE = 60.0
STEPS = 250
"""Enough messages to fill every buffer between the server and a client that does not read."""


def first_only(plan: Plan) -> Planner:
    return lambda number: Plan() if number else plan


def proxy_before(server: Server, plan: Planner, **options: Any) -> Proxy:
    return Proxy(int(server.url.rpartition(":")[2]), plan, **options)


def client_at(url: str, transport: Transport = Transport.WEBSOCKET) -> Client:
    return Client(url, transports=[transport], delays=SOON, random_fraction=lambda: 0.0)


async def job_at(server: Server) -> JobHandle:
    created = await server.submit()
    return JobHandle(created["jobId"], created["token"])


def followers(server: Server) -> int:
    hub: Hub = server.app.service._hub
    return hub.followers


def server_sockets() -> list[WebSocketProtocol | SocketFollower]:
    """The server's ends of the sockets that are open now."""
    found = [one for one in gc.get_objects() if type(one) in {WebSocketProtocol, SocketFollower}]
    return [one for one in found if not one.transport.is_closing()]


async def until(truth: Callable[[], bool]) -> None:
    while not truth():  # noqa: ASYNC110 - nobody says so
        await asyncio.sleep(0)


async def told(client: Client, job: JobHandle) -> list[Message]:
    return [message async for message in client.follow(job)]


async def told_step_by_step(server: Server, job: JobHandle, steps: int) -> list[Message]:
    """Follow directly and let the job take its next step only when the last one was told; then let it end."""
    messages: list[Message] = []
    async with client_at(server.url) as client:
        async for message in client.follow(job):
            messages.append(message)
            match message.payload:
                case JobProgress(processed_count=processed, total_count=total) if total:
                    server.gate.steps.put_nowait(1 if processed < steps else None)
    return messages


async def test_a_follower_at_one_kibibyte_a_second_gets_the_same_ending_and_nobody_waits_for_it(
    make_server: MakeServer,
) -> None:
    over = asyncio.Event()
    seconds: list[float] = []

    async def slowly(pause: float) -> None:
        seconds.append(pause)
        await over.wait()  # slower than any clock: it has all the time there is, once the job is over

    async with asyncio.timeout(PATIENCE), make_server(gated=True, flush_interval=0) as server:
        job = await job_at(server)
        async with proxy_before(server, lambda _: Plan(rate=1024), sleep=slowly) as proxy, client_at(proxy.url) as slow:
            following = asyncio.create_task(told(slow, job))
            await until(lambda: followers(server) == 1)
            fast = await told_step_by_step(server, job, STEPS)
            assert not following.done()
            over.set()
            late = await following
            assert sum(seconds) == pytest.approx(proxy.counts.down / 1024)
    ending = encode(fast[-1])
    assert legal_story(fast, ending).seq == legal_story(late, ending).seq
    assert len(late) < len(fast), "who is slow is told less often"


@pytest.mark.parametrize("straight", [True, False])
async def test_a_follower_that_hears_nothing_any_more_costs_bounded_memory_and_disturbs_nobody(
    make_server: MakeServer, *, straight: bool
) -> None:
    async with asyncio.timeout(PATIENCE), make_server(gated=True, flush_interval=0, fast=straight) as server:
        job = await job_at(server)
        silence = first_only(Plan(fault=Fault.SILENCE, moment=Moment.AFTER))
        async with proxy_before(server, silence) as proxy, client_at(proxy.url) as client:
            following = asyncio.create_task(told(client, job))
            await (await proxy.link(0)).struck.wait()
            fast = await told_step_by_step(server, job, STEPS)
            waiting = [one.transport.get_write_buffer_size() for one in server_sockets()]
            assert 0 < max(waiting) < QUEUED_BYTES + len(encode(fast[-1]))
            await proxy.reset()
            late = await following
            await until(lambda: followers(server) == 0)
    assert [message.payload.processed_count for message in fast if isinstance(message.payload, JobProgress)][
        -1
    ] == STEPS
    legal_story(late, encode(fast[-1]))


@pytest.mark.parametrize("transport", [Transport.WEBSOCKET, Transport.SSE])
@pytest.mark.parametrize("fault", [Fault.HALF_TO_SERVER, Fault.HALF_TO_CLIENT])
async def test_a_half_closed_connection_is_cleaned_up_and_its_follower_returns(
    make_server: MakeServer, fault: Fault, transport: Transport
) -> None:
    async with asyncio.timeout(PATIENCE), make_server(gated=True) as server:
        job = await job_at(server)
        half = first_only(Plan(fault=fault, moment=Moment.AFTER))
        async with proxy_before(server, half) as proxy, client_at(proxy.url, transport) as client:
            following = asyncio.create_task(told(client, job))
            first, second = await proxy.link(0), await proxy.link(1)
            await first.over.wait()
            await until(lambda: second.connected and followers(server) == 1)
            fast = await told_step_by_step(server, job, 3)
            late = await following
            await until(lambda: followers(server) == 0)
    legal_story(late, encode(fast[-1]))
