"""Tokens that end while a job goes on, on a clock that is turned by hand."""

import asyncio

import pytest

from shelfwire.client import JobHandle, RefusedError
from shelfwire.client.http import CutError, Response
from shelfwire.client.testing import Complete, FakeServer, Record, Start, problem
from shelfwire.errors import Code, ShelfwireError
from shelfwire.testing import FakeClock

from .conftest import MakeClient

HOUR = 3600


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def hands() -> FakeClock:
    return FakeClock()


def expiring(server: FakeServer, clock: FakeClock, seconds: int = HOUR) -> JobHandle:
    job = server.add(Start(1))
    return JobHandle(job.job_id, job.token, clock.now() + seconds * 1000)


async def test_a_token_about_to_expire_is_replaced_and_handed_over(client_to: MakeClient, hands: FakeClock) -> None:
    server = FakeServer()
    job = expiring(server, hands)
    given: list[JobHandle] = []
    async with client_to(server, clock=hands).follow(job, on_token=given.append) as following:
        await anext(following)
        hands.advance(HOUR - 61)
        await settle()
        assert given == []
        hands.advance(1)
        await settle()
        assert given == [following.job]
        assert given[0].token != job.token
        assert given[0].token in server.jobs[job.job_id].tokens
        server.go_on(job, Record("Dune"), Complete())
        assert (await following.run()).terminal


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_a_token_is_replaced_by_the_servers_clock_whatever_the_clients_says(
    client_to: MakeClient, hands: FakeClock, ahead: int
) -> None:
    own = FakeClock(hands.now() + ahead * 1000)
    server = FakeServer(clock=hands)
    job = expiring(server, hands)
    given: list[JobHandle] = []
    async with client_to(server, clock=own).follow(job, on_token=given.append) as following:
        await anext(following)
        await settle()
        for clock in (own, hands):
            clock.advance(HOUR - 61)
        own.step(-3 * ahead)  # somebody sets it right, and too far
        await settle()
        assert given == []
        for clock in (own, hands):
            clock.advance(1)
        await settle()
        assert given == [following.job]


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_a_token_that_a_call_returned_is_replaced_by_the_clock_of_its_answer(
    client_to: MakeClient, hands: FakeClock, ahead: int
) -> None:
    own = FakeClock(hands.now() + ahead * 1000)
    server = FakeServer(clock=hands)
    client = client_to(server, clock=own)
    given: list[JobHandle] = []
    job = await client.rotate(server.add(Start(1)), expires_in=HOUR)
    async with client.follow(job, on_token=given.append) as following:
        await anext(following)
        await settle()
        assert "GET" not in [request.method for request in server.requests if request.path == job.path()]
        own.advance(HOUR - 60)
        await settle()
        assert given == [following.job]


async def test_a_server_that_cannot_be_asked_for_its_time_is_asked_again(
    client_to: MakeClient, hands: FakeClock
) -> None:
    own = FakeClock(hands.now() - HOUR * 1000)
    server = FakeServer(clock=hands)
    job = expiring(server, hands, seconds=100)
    given: list[JobHandle] = []
    server.will.append(CutError("cut"))
    async with client_to(server, clock=own, transports=("websocket",)).follow(job, on_token=given.append) as following:
        running = asyncio.create_task(anext(following))
        for _ in range(60):
            await settle()
            own.advance(1)
            hands.advance(1)
        await running
        assert given == [following.job]


async def test_the_callback_may_be_a_coroutine_and_the_next_connection_shows_the_new_token(
    client_to: MakeClient, hands: FakeClock
) -> None:
    server = FakeServer()
    job = expiring(server, hands)
    kept = asyncio.Queue[JobHandle]()
    async with client_to(server, clock=hands).follow(job, on_token=kept.put) as following:
        await anext(following)
        hands.advance(HOUR - 60)
        new = await kept.get()
        server.jobs[job.job_id].tokens.discard(job.token)
        following.network_restored()
        server.go_on(job, Complete())
        assert (await following.run()).terminal
    assert server.requests[-1].headers["Authorization"] == f"Bearer {new.token}"


async def test_a_lost_replacement_is_requested_again_before_it_is_too_late(
    client_to: MakeClient, hands: FakeClock
) -> None:
    server = FakeServer()
    given: list[JobHandle] = []
    job = expiring(server, hands)
    async with client_to(server, clock=hands).follow(job, on_token=given.append) as following:
        await anext(following)
        login_page = Response(401, {}, b"<html>Log in to the hotel network</html>")
        server.will.extend([CutError("cut"), problem(ShelfwireError(Code.STORAGE_UNAVAILABLE)), login_page])
        for seconds in (HOUR - 60, 30, 15, 7.5):
            hands.advance(seconds)
            await settle()
        assert given == [following.job]


@pytest.mark.parametrize("code", [Code.FORBIDDEN, Code.UNAUTHORIZED])
async def test_a_token_that_may_not_be_replaced_follows_as_long_as_it_lasts(
    client_to: MakeClient, hands: FakeClock, code: Code
) -> None:
    server = FakeServer()
    job = expiring(server, hands)
    async with client_to(server, clock=hands).follow(job) as following:
        await anext(following)
        server.will.append(problem(ShelfwireError(code)))
        for _ in range(60):
            hands.advance(60)
            await settle()
        assert [request.path.rpartition("/")[2] for request in server.requests].count("token") == 1
        server.go_on(job, Complete())
        assert (await following.run()).terminal


async def test_a_token_that_has_ended_is_not_replaced(client_to: MakeClient, hands: FakeClock) -> None:
    server = FakeServer()
    job = expiring(server, hands, seconds=0)
    async with client_to(server, clock=hands).follow(job) as following:
        await anext(following)
        await settle()
    assert "token" not in [request.path.rpartition("/")[2] for request in server.requests]


async def test_what_on_token_raises_reaches_who_iterates(client_to: MakeClient, hands: FakeClock) -> None:
    server = FakeServer()

    def full(_: JobHandle) -> None:
        raise OSError("No space left on device")

    async with client_to(server, clock=hands).follow(expiring(server, hands), on_token=full) as following:
        await anext(following)
        hands.advance(HOUR - 60)
        with pytest.raises(OSError, match="No space"):
            await following.run()


async def test_tokens_are_made_for_others_replaced_and_ended(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    job = server.add()
    guest = await client.new_token(job, scopes=["watch"], expires_in=60)
    assert server.requests[-1].json == {"scopes": ["watch"], "expiresIn": 60}
    assert guest.expires_at is not None
    successor = await client.rotate(job)
    assert server.requests[-1].json == {}
    await client.revoke(guest)
    await client.state(successor)
    with pytest.raises(RefusedError):
        await client.state(guest)
    with pytest.raises(ValueError, match="everything"):
        await client.new_token(job, scopes=["everything"])
