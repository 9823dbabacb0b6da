"""The proxy itself, between a bare client and a bare server whose every byte the test decides."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.pieces import Kind, Piece, Pieces
from tests.faults.plans import HANDSHAKE, Aim, Fault, Moment, Plan, random_plan
from tests.faults.proxy import Link, Planner, Proxy

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
PLAIN = b"GET /state HTTP/1.1\r\nHost: x\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENCE = 60.0


def frame(text: bytes) -> bytes:
    size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
    return b"\x81" + size + text


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


PROGRESS = frame(b'{"type":"job_progress","n":1}')
LONG_PROGRESS = frame(b'{"type":"job_progress","title":"' + b"x" * 300 + b'"}')
ENDING = frame(b'{"type":"job_complete"}')
CLOSE = b"\x88\x02\x03\xe8"
STORY = [SWITCHING, PROGRESS, LONG_PROGRESS, ENDING, CLOSE]
EVENTS = [STREAM, chunk(b"retry: 2000\n\n"), chunk(b"event: job_progress\ndata: {}\n\n"), chunk(b": beat\n\n")]
EVENTS += [chunk(b'event: job_complete\ndata: {"type":"job_complete"}\n\n'), chunk(b"")]
POLLS = [answer(b'{"data":{"status":"running"}}'), answer(b""), answer(b'{"data":{"status":"failed"}}')]


@dataclass
class Peer:
    """The server's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
        await self.writer.drain()

    async def rest(self) -> bytes:
        return await self.reader.read()


@dataclass
class Stage:
    """A proxy with a server behind it, whose connections the test takes one by one."""

    proxy: Proxy
    peers: asyncio.Queue[Peer] = field(default_factory=asyncio.Queue)
    pauses: list[float] = field(default_factory=list)
    passed: list[Piece] = field(default_factory=list)
    opened: list[Peer] = field(default_factory=list)

    async def client(self, request: bytes = UPGRADE) -> Peer:
        port = int(self.proxy.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = Peer(reader, writer)
        self.opened.append(client)
        await client.says(request)
        return client

    async def both(self, request: bytes = UPGRADE) -> tuple[Peer, Peer]:
        client = await self.client(request)
        server = await self.peers.get()
        assert await server.reader.readexactly(len(request)) == request
        return client, server


@asynccontextmanager
async def stage(plan: Plan | Planner = Plan()) -> AsyncIterator[Stage]:  # noqa: B008 - it is frozen
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    pauses: list[float] = []
    passed: list[Piece] = []
    opened: list[Peer] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        opened.append(peer)
        peers.put_nowait(peer)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def tap(_link: Link, piece: Piece) -> None:
        passed.append(piece)

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE), listener:
        planner = (lambda _: plan) if isinstance(plan, Plan) else plan
        async with Proxy(listener.sockets[0].getsockname()[1], planner, tap=tap, sleep=pause) as proxy:
            yield Stage(proxy, peers, pauses, passed, opened)
        for peer in opened:
            peer.writer.transport.abort()


async def until_lost(peer: Peer) -> bytes:
    """All bytes a peer gets before its connection is reset."""
    got = b""
    try:
        while data := await peer.reader.read(1 << 16):
            got += data
    except ConnectionResetError:
        return got
    pytest.fail("the connection was closed, not reset")


async def test_without_a_plan_every_byte_passes_both_ways_and_ends_pass_too() -> None:
    async with stage() as scene:
        client, server = await scene.both()
        await client.says(b"ping")
        assert await server.reader.readexactly(4) == b"ping"
        await server.says(*STORY)
        server.writer.write_eof()
        assert await client.rest() == b"".join(STORY)
        client.writer.write_eof()
        assert await server.rest() == b""
        await (await scene.proxy.link(0)).over.wait()
        assert scene.proxy.counts.down == len(b"".join(STORY))
        assert scene.proxy.counts.up == len(UPGRADE) + 4
        assert scene.proxy.counts.struck == {}
        kinds = [piece.kind for piece in scene.passed]
    assert kinds == [Kind.HEAD, Kind.MESSAGE, Kind.MESSAGE, Kind.ENDING, Kind.CLOSE]


@pytest.mark.parametrize(
    ("moment", "number", "passes"),
    [
        (Moment.OPEN, 0, STORY[:1]),
        (Moment.BEFORE, 0, STORY[:1]),
        (Moment.AFTER, 0, STORY[:2]),
        (Moment.WITHIN, 1, [*STORY[:2], LONG_PROGRESS[: len(LONG_PROGRESS) // 2]]),
        (Moment.AFTER, 1, STORY[:3]),
        (Moment.BEFORE_ENDING, 0, STORY[:3]),
        (Moment.WITHIN_ENDING, 0, [*STORY[:3], ENDING[: len(ENDING) // 2]]),
        (Moment.AFTER_ENDING, 0, STORY[:4]),
    ],
)
async def test_a_cut_comes_at_its_moment_to_the_byte(moment: Moment, number: int, passes: list[bytes]) -> None:
    async with stage(Plan(fault=Fault.CLOSE, moment=moment, number=number)) as scene:
        client, server = await scene.both()
        await server.says(*STORY)
        assert await client.rest() == b"".join(passes)
        assert await server.rest() == b""
        assert scene.proxy.counts.struck == {Fault.CLOSE: 1}


@pytest.mark.parametrize(
    ("moment", "heard", "told"),
    [
        (Moment.ACCEPTED, None, b""),
        (Moment.IN_REQUEST, UPGRADE[: len(UPGRADE) // 2], b""),
        (Moment.IN_HEAD, UPGRADE, SWITCHING[: len(SWITCHING) // 2]),
    ],
)
async def test_a_cut_in_the_handshake_lets_through_what_came_before(
    moment: Moment, heard: bytes | None, told: bytes
) -> None:
    async with stage(Plan(fault=Fault.CLOSE, moment=moment)) as scene:
        client = await scene.client()
        if heard is not None:
            server = await scene.peers.get()
            assert await server.reader.readexactly(len(heard)) == heard
            await server.says(SWITCHING)
        assert await client.reader.readexactly(len(told)) == told
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.reader.readexactly(1)
        assert not scene.proxy.links[0].connected
        assert scene.peers.empty()


async def test_a_reset_reaches_both_sides_as_a_reset() -> None:
    async with stage(Plan(fault=Fault.RESET, moment=Moment.AFTER)) as scene:
        client, server = await scene.both()
        await server.says(SWITCHING, PROGRESS)
        # What the client's kernel had not handed over yet may be lost with a reset, as it is on any network.
        assert (SWITCHING + PROGRESS).startswith(await until_lost(client))
        assert await until_lost(server) == b""


async def test_half_closed_towards_the_client_it_hears_the_end_and_the_server_still_hears_the_client() -> None:
    async with stage(Plan(fault=Fault.HALF_TO_CLIENT, moment=Moment.AFTER)) as scene:
        client, server = await scene.both()
        await server.says(*STORY)
        assert await client.rest() == SWITCHING + PROGRESS
        await client.says(b"still here")
        assert await server.reader.readexactly(10) == b"still here"
        client.writer.write_eof()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await server.reader.readexactly(1)


@pytest.mark.parametrize("moment", [Moment.OPEN, Moment.WITHIN, Moment.AFTER])
async def test_half_closed_towards_the_server_it_hears_the_end_and_the_client_still_hears_the_server(
    moment: Moment,
) -> None:
    async with stage(Plan(fault=Fault.HALF_TO_SERVER, moment=moment)) as scene:
        client, server = await scene.both()
        await server.says(SWITCHING, PROGRESS, LONG_PROGRESS)
        assert await server.rest() == b""
        await client.says(b"unheard")
        await server.says(ENDING, CLOSE)
        server.writer.write_eof()
        told = b"".join(STORY)
        assert await client.reader.readexactly(len(told)) == told
        await (await scene.proxy.link(0)).over.wait()
        assert scene.proxy.counts.up == len(UPGRADE)
        assert len(scene.passed) == len(STORY)


@pytest.mark.parametrize("fault", [Fault.HALF_TO_CLIENT, Fault.HALF_TO_SERVER])
async def test_half_closed_while_the_client_speaks_the_other_half_loses_nothing(fault: Fault) -> None:
    async with stage(Plan(fault=fault, moment=Moment.IN_SPEECH, number=3)) as scene:
        client, server = await scene.both()
        await server.says(SWITCHING)
        await client.reader.readexactly(len(SWITCHING))
        await client.says(b"abcdef")
        await server.says(b"") if fault is Fault.HALF_TO_CLIENT else await server.says(PROGRESS)
        client.writer.write_eof()
        server.writer.write_eof()
        assert await server.rest() == (b"abcdef" if fault is Fault.HALF_TO_CLIENT else b"abc")
        assert await client.rest() == (b"" if fault is Fault.HALF_TO_CLIENT else PROGRESS)


async def test_a_silent_connection_passes_nothing_more_and_takes_a_bounded_amount_from_the_server() -> None:
    async with stage(Plan(fault=Fault.SILENCE, moment=Moment.AFTER)) as scene:
        client, server = await scene.both()
        await server.says(SWITCHING, PROGRESS)
        await (await scene.proxy.link(0)).struck.wait()
        server.writer.transport.set_write_buffer_limits(high=0)
        server.writer.write(b"x" * (16 * 1024 * 1024))
        assert server.writer.transport.get_write_buffer_size() > 0
        await client.says(b"anyone?")
        assert await client.reader.readexactly(len(SWITCHING + PROGRESS)) == SWITCHING + PROGRESS
        assert (scene.proxy.counts.down, scene.proxy.counts.up) == (len(SWITCHING + PROGRESS), len(UPGRADE))
        await scene.proxy.reset()
        assert await until_lost(client) == b""


async def test_a_silence_that_was_given_an_end_is_reset_after_it() -> None:
    async with stage(Plan(fault=Fault.SILENCE, moment=Moment.OPEN, silence=0.25)) as scene:
        client, server = await scene.both()
        await server.says(*STORY)
        assert SWITCHING.startswith(await until_lost(client))
        assert scene.pauses == [0.25]


async def test_a_cut_in_what_the_client_says_lets_through_so_many_bytes() -> None:
    async with stage(Plan(fault=Fault.CLOSE, moment=Moment.IN_SPEECH, number=3)) as scene:
        client, server = await scene.both()
        await client.says(b"abcdef")
        assert await server.rest() == b"abc"


async def test_a_throttled_connection_takes_the_time_its_rate_says() -> None:
    async with stage(Plan(rate=1024, delay=0.5)) as scene:
        client, server = await scene.both()
        await server.says(*STORY)
        whole = b"".join(STORY)
        assert await client.reader.readexactly(len(whole)) == whole
        assert scene.pauses.count(0.5) == len(STORY)
        assert sum(scene.pauses) - 0.5 * len(STORY) == pytest.approx(len(whole) / 1024)


@pytest.mark.parametrize("status", [403, 502])
async def test_refusing_upgrades_it_lets_everything_else_pass(status: int) -> None:
    async with stage(Plan(refuse=status)) as scene:
        refused = await scene.client(UPGRADE)
        assert (await refused.rest()).startswith(b"HTTP/1.1 %d " % status)
        client, server = await scene.both(PLAIN)
        await server.says(POLLS[0])
        assert await client.reader.readexactly(len(POLLS[0])) == POLLS[0]
        assert scene.proxy.counts.refused == 1


async def test_holding_streams_it_hands_one_over_only_when_it_has_ended() -> None:
    async with stage(Plan(hold=True)) as scene:
        client, server = await scene.both(PLAIN)
        await server.says(POLLS[0], *EVENTS[:-1])
        assert await client.reader.readexactly(len(POLLS[0])) == POLLS[0]
        assert len(scene.passed) == 2
        assert scene.proxy.counts.down == len(POLLS[0])
        await server.says(EVENTS[-1])
        events = b"".join(EVENTS)
        assert await client.reader.readexactly(len(events)) == events
        assert scene.proxy.counts.held == 1


async def test_each_connection_has_the_plan_of_its_number() -> None:
    async with stage(lambda number: Plan(refuse=502) if number % 2 else Plan()) as scene:
        _, server = await scene.both()
        assert (await (await scene.client()).rest()).startswith(b"HTTP/1.1 502")
        await scene.both()
        await server.says(SWITCHING)
        assert [link.prevented for link in scene.proxy.links] == [False, True, False]


async def test_a_server_that_is_not_there_is_a_connection_that_is_reset() -> None:
    async with stage() as scene:
        scene.proxy._port = 1
        assert await until_lost(await scene.client()) == b""


@given(st.data(), st.sampled_from([STORY, EVENTS, POLLS, [b"nothing ", b"known"], [b"HTTP/1.1 204 No\r\n\r\n"]]))
def test_however_the_bytes_arrive_the_pieces_are_the_same_and_nothing_is_lost(
    data: st.DataObject, story: list[bytes]
) -> None:
    whole = b"".join(story)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=20)))
    reader = Pieces()
    found = [
        piece
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
        for piece in reader.feed(whole[start:end])
    ]
    assert b"".join(piece.raw for piece in found) + reader.rest == whole
    if whole.startswith(b"HTTP"):
        assert found == Pieces().feed(whole)
        assert not reader.rest


def test_events_heartbeats_states_and_their_endings_are_told_apart() -> None:
    told = [Kind.HEAD, Kind.OTHER, Kind.MESSAGE, Kind.OTHER, Kind.ENDING, Kind.CLOSE]
    assert [piece.kind for piece in Pieces().feed(b"".join(EVENTS))] == told
    polled = [Kind.HEAD, Kind.MESSAGE, Kind.HEAD, Kind.HEAD, Kind.ENDING]
    assert [piece.kind for piece in Pieces().feed(b"".join(POLLS))] == polled


@given(st.integers())
def test_the_same_seed_makes_the_same_plans_and_each_hits_something_or_spares_the_connection(seed: int) -> None:
    def plans() -> list[Plan]:
        dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
        return [random_plan(dice, silence=0.1, delay=0.01, messages=3, speech=100) for _ in range(20)]

    assert plans() == plans()
    for plan in plans():
        aim = Aim(plan)
        hits = [(piece, part) for piece in Pieces().feed(b"".join(STORY)) if (part := aim.strike(piece)) is not None]
        assert len(hits) <= 1 or plan.moment in (Moment.BEFORE_ENDING, Moment.WITHIN_ENDING, Moment.AFTER_ENDING)
        assert all(0 <= part <= len(piece.raw) for piece, part in hits)
        if plan.moment not in HANDSHAKE | {Moment.IN_SPEECH}:
            assert hits
