"""Following over lost connections and hostile networks, against a server in memory."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError
from shelfwire.client.http import (
    CutError,
    Event,
    Request,
    Response,
    Socket,
    UnreachableError,
    UntrustedError,
)
from shelfwire.client.testing import (
    Complete,
    Cut,
    Fail,
    FakeServer,
    InstantClock,
    Record,
    Say,
    Start,
    Step,
    problem,
)
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, Message, Ping, SyncRequest
from shelfwire.protocol.reconnect import Transport

from .conftest import MakeClient, begun

SCRIPT: tuple[Step, ...] = (Start(2), Record("Dune"), Record("Emma"), Complete("Added 2 books"))
BAD_GATEWAY = Response(502, {}, b"<html>Bad gateway</html>")
EVERY = [(transport.value,) for transport in Transport]


async def received(client: Client, job: JobHandle, **options: Any) -> list[Message]:
    return [message async for message in client.follow(job, **options)]


def tried(server: FakeServer) -> list[str]:
    """The transports that were tried, in order."""
    kinds = {"/ws/progress": "websocket", "events": "sse"}
    return [
        kinds.get(request.path, kinds.get(request.path.rpartition("/")[2], "polling")) for request in server.requests
    ]


def monotone(messages: list[Message]) -> bool:
    seqs = [message.seq or 0 for message in messages]
    return seqs == sorted(seqs)


@pytest.mark.parametrize("transports", EVERY)
async def test_every_transport_delivers_the_same_messages(client_to: MakeClient, transports: tuple[str, ...]) -> None:
    server = FakeServer()
    client = client_to(server, transports=transports)
    following = client.follow(server.add(*SCRIPT))
    messages = [message async for message in following]
    assert [(message.seq, message.type) for message in messages] == [
        (1, "job_progress"),
        (2, "job_progress"),
        (3, "job_started"),
        (3, "job_progress"),
        (4, "job_progress"),
        (5, "job_progress"),
        (6, "job_progress"),
        (6, "job_complete"),
    ]
    reference = client_to(other := FakeServer(), transports=("websocket",))
    assert messages == await received(reference, other.add(*SCRIPT))
    assert following.transport == transports[0]


@pytest.mark.parametrize("transports", EVERY)
async def test_a_cut_costs_two_seconds_and_nothing_else(
    client_to: MakeClient, clock: InstantClock, transports: tuple[str, ...]
) -> None:
    server = FakeServer()
    job = server.add(Start(2), Record("Dune"), Cut(), Record("Emma"), Cut(), Complete())
    messages = await received(client_to(server, transports=transports), job)
    assert clock.waits == [2, 2]
    assert monotone(messages)
    assert [message.type for message in messages].count("job_started") == 1
    assert isinstance(messages[-1].payload, JobComplete)
    assert messages[-1].payload.success_count == 2


async def test_after_a_reconnect_it_asks_for_what_it_missed_and_attaches_after_what_it_has_shown(
    client_to: MakeClient,
) -> None:
    server = FakeServer()
    messages = await received(client_to(server), server.add(Start(1), Cut(), Record("Dune"), Complete()))
    assert [request.params["after"] for request in server.requests] == ["0", "3"]
    assert [message.payload for message in server.sent] == [SyncRequest(tries=1)]
    assert messages[-1].terminal


async def test_an_event_stream_is_resumed_where_the_server_says_so(client_to: MakeClient) -> None:
    server = FakeServer()
    await received(client_to(server, transports=("sse",)), server.add(Start(1), Cut(), Record("Dune"), Complete()))
    assert [request.headers.get("Last-Event-ID") for request in server.requests] == [None, "3"]


async def test_a_cut_between_two_events_of_one_revision_loses_neither(client_to: MakeClient) -> None:
    server = _CutShort()
    messages = await received(client_to(server, transports=("sse",)), server.add(Start(1), Complete()))
    assert [(message.seq, message.type) for message in messages[2:]] == [
        (3, "job_started"),
        (3, "job_progress"),
        (4, "job_complete"),
    ]
    assert [request.headers.get("Last-Event-ID") for request in server.requests] == [None, "2"]


class _CutShort(FakeServer):
    """Its first stream ends between the start and the progress of the same revision."""

    @asynccontextmanager
    async def events(self, request: Request) -> AsyncIterator[AsyncIterator[Event]]:
        async with super().events(request) as events:
            yield _cut_at_the_start(events) if len(self.requests) == 1 else events


async def _cut_at_the_start(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if "job_started" in event.data:
            raise CutError("reset by peer")


async def test_five_tries_after_2_4_8_16_and_30_seconds_and_then_it_gives_up(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    server.reachable = False
    waits: list[float] = []
    with pytest.raises(ConnectionLostError, match="No server listens there") as lost:
        await received(client_to(server), server.add(*SCRIPT), on_wait=waits.append)
    assert waits == clock.waits == [2, 4, 8, 16, 30]
    assert lost.value.code == Code.MAX_RETRIES
    assert len(server.requests) == 6


async def test_what_is_heard_starts_the_tries_anew(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer()
    away = UnreachableError("away")
    server.will.extend([away, away, away])
    job = server.add(Start(1), Cut(), Complete())
    await received(client_to(server), job)
    assert clock.waits == [2, 4, 8, 2]


async def test_a_socket_that_opens_but_says_nothing_is_no_success(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer()
    job = server.add(*SCRIPT)
    server.will.extend([CutError("cut")] * 6)
    with pytest.raises(ConnectionLostError):
        await received(client_to(server, transports=("websocket",)), job)
    assert clock.waits == [2, 4, 8, 16, 30]


@pytest.mark.parametrize("transports", EVERY)
@pytest.mark.parametrize("code", [Code.UNAUTHORIZED, Code.FORBIDDEN, Code.TOKEN_EXPIRED])
async def test_a_refusal_ends_it_at_once(
    client_to: MakeClient, clock: InstantClock, transports: tuple[str, ...], code: Code
) -> None:
    server = FakeServer()
    server.will.append(problem(ShelfwireError(code)))
    with pytest.raises(RefusedError) as refused:
        await received(client_to(server, transports=transports), server.add(*SCRIPT))
    assert (refused.value.code, clock.waits) == (code, [])


@pytest.mark.parametrize("status", [401, 403, 407, 511])
async def test_the_login_page_of_a_network_does_not_end_the_follow(
    client_to: MakeClient, clock: InstantClock, status: int
) -> None:
    server = FakeServer()
    server.will.extend([Response(status, {}, b"<html>Log in to the hotel network</html>")] * 3)
    messages = await received(client_to(server), server.add(*SCRIPT))
    assert messages[-1].terminal
    assert (tried(server)[:3], clock.waits) == (["websocket", "sse", "polling"], [2])


async def test_a_login_page_that_stays_is_a_lost_connection_and_not_a_wrong_token(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.extend([Response(401, {}, b"<html>Log in to the hotel network</html>")] * 99)
    with pytest.raises(ConnectionLostError, match="between this client and the server answered 401"):
        await received(client_to(server), server.add(*SCRIPT))


async def test_a_refusal_without_a_body_is_known_by_its_header(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.append(Response(401, {"x-error-code": "E_TOKEN_EXPIRED"}, b""))
    with pytest.raises(RefusedError) as refused:
        await received(client_to(server), server.add(*SCRIPT))
    assert refused.value.code == Code.TOKEN_EXPIRED


async def test_a_final_close_ends_it_at_once(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.append(CutError("The token was revoked", 1008))
    with pytest.raises(RefusedError, match="The token was revoked") as refused:
        await received(client_to(server), server.add(*SCRIPT))
    assert (refused.value.code, refused.value.status) == (Code.UNAUTHORIZED, 1008)


@pytest.mark.parametrize("closed", ["at once", "after messages"])
async def test_a_normal_close_without_an_ending_is_asked_about_by_another_transport(
    client_to: MakeClient, clock: InstantClock, closed: str
) -> None:
    server = FakeServer()
    if closed == "at once":
        server.will.append(CutError("Bye", 1000))
        told = await received(client_to(server), server.add(*SCRIPT))
    else:
        told = await received(client_to(server), server.add(*SCRIPT[:-1], Cut(1000), SCRIPT[-1]))
    assert told[-1].terminal
    assert (tried(server), clock.waits) == (["websocket", "sse"], [])


async def test_a_normal_close_without_an_ending_is_no_reason_to_ask_without_pause(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    server.will.extend(CutError("Bye", 1000) for _ in range(9))
    with pytest.raises(ConnectionLostError):
        await received(client_to(server, transports=("websocket",)), server.add(*SCRIPT))
    assert clock.waits == [2, 4, 8, 16, 30]


async def test_a_server_that_cannot_prove_who_it_is_is_not_tried_again(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    server.will.append(UntrustedError("self-signed certificate"))
    with pytest.raises(ConnectionLostError, match="self-signed"):
        await received(client_to(server), server.add(*SCRIPT))
    assert clock.waits == []


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.STORAGE_UNAVAILABLE])
async def test_a_busy_server_is_tried_again_by_the_same_way(
    client_to: MakeClient, clock: InstantClock, code: Code
) -> None:
    server = FakeServer()
    server.will.append(problem(ShelfwireError(code), retry_after=1))
    await received(client_to(server), server.add(*SCRIPT))
    assert (tried(server), clock.waits) == (["websocket", "websocket"], [2])


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {}, b"<html>Log in to the hotel network</html>"),
        Response(403, {}, b"Upgrades are not allowed here"),
        Response(404, {}, b""),
        Response(426, {}, problem(ShelfwireError(Code.INVALID_REQUEST)).body),
        BAD_GATEWAY,
    ],
    ids=lambda answer: str(answer.status),
)
async def test_a_proxy_that_refuses_the_upgrade_is_passed_by_without_a_wait(
    client_to: MakeClient, clock: InstantClock, answer: Response
) -> None:
    server = FakeServer()
    server.will.append(answer)
    following = client_to(server).follow(server.add(*SCRIPT))
    messages = [message async for message in following]
    assert (tried(server), clock.waits) == (["websocket", "sse"], [])
    assert (following.transport, messages[-1].terminal) == (Transport.SSE, True)


async def test_where_no_stream_gets_through_it_polls(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer(transports=("polling",))
    messages = await received(client_to(server), server.add(*SCRIPT))
    assert tried(server)[:3] == ["websocket", "sse", "polling"]
    assert clock.waits == []
    assert messages[-1].terminal


async def test_having_fallen_back_it_stays_with_what_works(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer(transports=("sse", "polling"))
    job = server.add(Start(1), Cut(), Record("Dune"), Complete())
    await received(client_to(server), job)
    assert (tried(server), clock.waits) == (["websocket", "sse", "sse"], [2])


async def test_a_gateway_without_its_server_does_not_drive_a_socket_that_worked_away(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    job = server.add(Start(1), Cut(), Record("Dune"), Complete())
    client = client_to(server)
    async with begun(client.follow(job)) as _:
        pass
    server.requests.clear()
    following = client.follow(job)
    await anext(following)
    server.will.extend([BAD_GATEWAY, BAD_GATEWAY])
    rest = [message async for message in following]
    assert rest[-1].terminal
    assert tried(server) == ["websocket"] * 4
    assert clock.waits == [2, 4, 8]


async def test_two_sockets_cut_before_a_word_make_room_for_the_next_way(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    job = server.add(*SCRIPT)
    server.will.extend([CutError("reset by peer"), CutError("reset by peer")])
    await received(client_to(server), job)
    assert (tried(server), clock.waits) == (["websocket", "websocket", "sse"], [2])


async def test_a_server_that_cannot_wait_is_polled_with_pauses(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer()
    job = server.add(*SCRIPT)
    client = client_to(server, transports=("polling",))
    following = client.follow(job)
    await anext(following)
    state = Response(200, {}, b'{"data":' + _document(server, job) + b"}")
    server.will.extend([state, state])
    rest = [message async for message in following]
    assert rest[-1].terminal
    assert clock.waits == [2, 2]


def _document(server: FakeServer, job: JobHandle) -> bytes:
    return msgspec.json.encode(server.jobs[job.job_id].document())


async def test_another_page_in_the_servers_place_is_not_taken_for_a_state(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.extend([Response(200, {}, b"<html>hello</html>")] * 6)
    with pytest.raises(ConnectionLostError, match="not a shelfwire server"):
        await received(client_to(server, transports=("polling",)), server.add(*SCRIPT))


async def test_without_network_it_waits_uses_up_no_tries_and_connects_at_once_when_it_is_back(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    job = server.add(Start(1))
    async with client_to(server).follow(job) as following:
        for _ in range(4):
            await anext(following)
        following.network_lost()
        server.reachable = False
        server.go_on(job, Record("Dune"), Complete())
        waiting = asyncio.ensure_future(anext(following))
        for _ in range(50):
            await asyncio.sleep(0)
        assert (waiting.done(), len(server.requests), clock.waits) == (False, 1, [])
        server.reachable = True
        following.network_restored()
        rest = [await waiting, *[message async for message in following]]
    assert rest[-1].terminal
    assert (len(server.requests), clock.waits) == (2, [])


async def test_a_restored_network_cuts_the_wait_for_the_next_try_short_and_gives_all_tries_back(
    client_to: MakeClient,
) -> None:
    server = FakeServer()
    job = server.add(*SCRIPT)
    server.will.extend([UnreachableError("away")] * 3)
    waits: list[float] = []

    def restored(seconds: float) -> None:
        waits.append(seconds)
        following.network_restored()

    clock = InstantClock()
    following = client_to(server, clock=clock).follow(job, restored)
    assert [message async for message in following][-1].terminal
    assert waits == [2, 2, 2]
    assert clock.waits == []


async def test_another_network_may_have_another_best_transport(client_to: MakeClient) -> None:
    server = FakeServer(transports=("polling",))
    job = server.add(Start(1))
    async with client_to(server).follow(job) as following:
        for _ in range(4):
            await anext(following)
        best = [following.transport]
        server.transports = tuple(Transport)
        following.network_restored()
        server.go_on(job, Complete())
        assert [message async for message in following][-1].terminal
        best.append(following.transport)
    assert best == [Transport.POLLING, Transport.WEBSOCKET]


async def test_cancelled_reconnection_ends_the_wait_for_the_next_try(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(*SCRIPT)
    server.reachable = False
    following = client_to(server).follow(job, lambda _: following.cancel_reconnection())
    with pytest.raises(ConnectionLostError, match="cancelled") as lost:
        await anext(following)
    assert (lost.value.code, len(server.requests)) == (Code.MAX_RETRIES, 1)


async def test_cancelled_reconnection_leaves_a_living_connection_alone_until_it_is_lost(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Start(1))
    async with client_to(server).follow(job) as following:
        await anext(following)
        following.cancel_reconnection()
        server.go_on(job, Record("Dune"), Cut())
        seen: list[Message] = []
        with pytest.raises(ConnectionLostError, match="cancelled"):
            await following.run(on_progress=seen.append)
    assert isinstance(seen[-1].payload, JobProgress)
    assert seen[-1].payload.processed_count == 1


async def test_cancelled_reconnection_ends_a_follow_that_waits_for_the_network(client_to: MakeClient) -> None:
    server = FakeServer()
    async with client_to(server).follow(server.add()) as following:
        await anext(following)
        following.network_lost()
        following.cancel_reconnection()
        with pytest.raises(ConnectionLostError, match="cancelled"):
            await anext(following)


@pytest.mark.parametrize("transports", EVERY)
async def test_a_ping_comes_back_in_the_middle_of_a_follow(client_to: MakeClient, transports: tuple[str, ...]) -> None:
    server = FakeServer()
    job = server.add(Start(1))
    async with client_to(server, transports=transports).follow(job) as following:
        await anext(following)
        assert await following.ping() == 0
    assert ("/health/live" in [request.path for request in server.requests]) == (transports != ("websocket",))


async def test_a_ping_says_once_what_the_client_could_not_read_or_gave_up(client_to: MakeClient) -> None:
    server = FakeServer()
    async with client_to(server, transports=("websocket",)).follow(server.add(Start(1))) as following:
        await anext(following)
        subscription = following._subscription
        assert subscription._position.decoded("{") is None
        subscription._config.given_up.append("another job")
        for _ in range(2):
            await following.ping()
    first, second = (message.payload for message in server.sent)
    assert isinstance(first, Ping)
    assert isinstance(second, Ping)
    assert [(ping.lost, ping.undecodable) for ping in (first, second)] == [(1, 1), (None, None)]


async def test_a_ping_that_nobody_answers_says_so_in_time(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer()
    async with client_to(server).follow(server.add()) as following:
        await anext(following)
        following._subscription.pings.use(_Deaf())
        with pytest.raises(ConnectionLostError, match="10 s"):
            await following.ping()
        assert clock.waits == [10]


class _Deaf:
    async def send(self, text: str) -> None:
        """Take no notice."""

    async def receive(self) -> str:
        raise AssertionError("nobody asks it")


async def test_a_ping_without_a_server_is_an_error(client_to: MakeClient) -> None:
    server = FakeServer()
    server.reachable = False
    with pytest.raises(ConnectionLostError):
        await client_to(server).follow(server.add()).ping()


async def test_callbacks_hear_each_kind_whether_they_are_coroutines_or_not(client_to: MakeClient) -> None:
    server = FakeServer()
    seen: list[str] = []

    async def slow(message: Message) -> None:
        await asyncio.sleep(0)
        seen.append(message.type)

    ending = (
        await client_to(server)
        .follow(server.add(*SCRIPT))
        .run(on_started=lambda message: seen.append(message.type), on_progress=slow, on_complete=slow)
    )
    assert (seen.count("job_started"), seen.count("job_progress"), seen[-1]) == (1, 6, "job_complete")
    assert isinstance(ending.payload, JobComplete)


async def test_a_failed_job_calls_the_error_callback_and_no_other(client_to: MakeClient) -> None:
    server = FakeServer()
    seen: list[Message] = []
    following = client_to(server).follow(server.add(Start(1), Fail(BookCode.CSV_NO_BOOKS)))
    assert await following.run(on_error=seen.append, on_complete=lambda _: seen.clear()) == seen[0]
    assert isinstance(seen[0].payload, JobError)
    assert seen[0].payload.code == BookCode.CSV_NO_BOOKS


async def test_a_callback_that_raises_ends_the_follow_with_its_own_error(client_to: MakeClient) -> None:
    server = FakeServer()
    with pytest.raises(ZeroDivisionError):
        await client_to(server).follow(server.add(*SCRIPT)).run(on_started=lambda _: 1 // 0)


async def test_what_on_wait_raises_reaches_who_iterates(client_to: MakeClient) -> None:
    server = FakeServer()
    server.reachable = False

    def moved(_: float) -> None:
        raise LookupError("the job is elsewhere now")

    with pytest.raises(LookupError, match="elsewhere"):
        await received(client_to(server), server.add(), on_wait=moved)


async def test_messages_of_unknown_types_and_broken_frames_are_passed_over(client_to: MakeClient) -> None:
    server = _Noisy()
    job = server.add(*SCRIPT)
    messages = await received(client_to(server), job)
    assert messages == await received(client_to(other := FakeServer()), other.add(*SCRIPT))


class _Noisy(FakeServer):
    """It also says what this version does not understand."""

    @asynccontextmanager
    async def socket(self, request: Request) -> AsyncIterator[Socket]:
        async with super().socket(request) as socket:
            yield _NoisySocket(socket)


class _NoisySocket:
    def __init__(self, socket: Socket) -> None:
        self._noise: list[str | bytes] = ["not json", '{"type":"job_sang","payload":{"song":1}}', "[]", b"\xff"]
        self._socket = socket

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def receive(self) -> str | bytes:
        return self._noise.pop() if self._noise else await self._socket.receive()


async def test_a_slow_listener_misses_nothing(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Start(500), *(Record(f"Book {n}") for n in range(500)), Complete())
    counts = []
    async for message in client_to(server, transports=("websocket",)).follow(job):
        for _ in range(3):
            await asyncio.sleep(0)
        if isinstance(message.payload, JobProgress):
            counts.append(message.payload.processed_count)
    assert counts[-501:] == [*range(1, 501), 500]


async def test_leaving_the_loop_closes_the_connection_and_leaves_the_job_alone(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add(Start(1), Say("Looking closely…"))
    before = asyncio.all_tasks()
    async for _ in client_to(server).follow(job):
        break
    gc.collect()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert not server.jobs[job.job_id].state.ended


async def test_closing_the_client_ends_its_follows(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    async with client:
        following = client.follow(server.add())
        await anext(following)
    with pytest.raises(ConnectionLostError, match="closed"):
        await anext(following)


async def test_a_closed_client_follows_nothing_any_more(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    job = server.add(*SCRIPT)
    unused = client.follow(job)
    await client.aclose()
    with pytest.raises(ConnectionLostError, match="closed"):
        await unused.run()
    with pytest.raises(RuntimeError, match="closed"):
        client.follow(job)
    assert server.requests == []


async def test_a_follow_is_iterated_once(client_to: MakeClient) -> None:
    server = FakeServer()
    following = client_to(server).follow(server.add(*SCRIPT))
    await following.run()
    with pytest.raises(RuntimeError, match="before"):
        await following.run()
