import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from shelfwire.books.upstream.client import REFUSED_HOLD, TRIAL_SECONDS, UpstreamClient, retry_after
from shelfwire.books.upstream.errors import (
    RateLimited,
    Reason,
    RequestRejected,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from shelfwire.books.upstream.limits import LONGEST_HOLD, Limits
from shelfwire.testing import FakeClock

KEY = "a-key-that-nobody-may-see"
URL = "https://books.example/search"
Answer = httpx2.Response | Exception | None
"""What the service does: answer, break, or say nothing for ever."""


class Service:
    """An outside service that answers as it is told, and notes when it was asked."""

    def __init__(self, clock: FakeClock, answers: Sequence[Answer] = (), then: Answer = None) -> None:
        self.clock = clock
        self.answers = list(answers)
        self.then = then
        self.asked: list[float] = []
        self.requests: list[httpx2.Request] = []
        self.under_way = 0
        self.most_under_way = 0

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(self.clock.monotonic())
        self.requests.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._answer()
        finally:
            self.under_way -= 1

    async def _answer(self) -> httpx2.Response:
        answer = self.answers.pop(0) if self.answers else self.then
        await asyncio.sleep(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


class World:
    """A client of a service, and a clock to advance."""

    def __init__(self, *answers: Answer, then: Answer = None, **limits: Any) -> None:
        self.clock = FakeClock()
        self.service = Service(self.clock, answers, then)
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.service.answer))
        self.upstream = UpstreamClient(
            self.client,
            name="Books",
            limits=Limits(**{"rate": 1000, "backoff": 1.0, **limits}),
            clock=self.clock,
            uniform=lambda: 0.0,
        )

    def send(self) -> "asyncio.Task[httpx2.Response]":
        return asyncio.create_task(self.upstream.send(httpx2.Request("GET", URL, headers={"x-key": KEY})))

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def done(self, *tasks: "asyncio.Task[httpx2.Response]") -> None:
        """Turn the clock, an eighth of a second at a time, until all are done."""
        await self.settle()
        for _ in range(80_000):
            if all(task.done() for task in tasks):
                return
            self.clock.advance(0.125)
            await self.settle()
        raise AssertionError("the client never finishes")

    async def failure(self) -> UpstreamError:
        task = self.send()
        await self.done(task)
        failure = task.exception()
        assert isinstance(failure, UpstreamError)
        return failure


def ok(content: bytes = b"{}") -> httpx2.Response:
    return httpx2.Response(200, content=content)


def status(code: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(code, headers={name.replace("_", "-"): value for name, value in headers.items()})


def busiest(times: Sequence[float], period: float) -> int:
    return max(sum(begin <= time < begin + period for time in times) for begin in times)


async def test_never_more_requests_than_the_rate_begin_in_any_period_and_the_start_is_no_exception() -> None:
    world = World(then=ok(), rate=3, at_once=50)
    tasks = [world.send() for _ in range(20)]
    await world.done(*tasks)
    assert len(world.service.asked) == 20
    assert busiest(world.service.asked, 1.0) == 3
    assert world.clock.monotonic() == 6.0


async def test_no_more_requests_are_under_way_at_once_than_the_limit() -> None:
    world = World(at_once=3, attempts=1, timeout=1.0, failures=1000)
    tasks = [world.send() for _ in range(10)]
    await world.done(*tasks)
    assert world.service.most_under_way == 3
    assert len(world.service.asked) == 10


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(500), Unavailable),
        (status(503), Unavailable),
        (status(408), UpstreamTimeout),
        (status(504), UpstreamTimeout),
        (status(429), RateLimited),
        (httpx2.ConnectError("refused"), Unavailable),
        (httpx2.RemoteProtocolError("closed"), Unavailable),
        (httpx2.ReadTimeout("slow"), UpstreamTimeout),
        (None, UpstreamTimeout),
    ],
)
async def test_what_may_pass_is_tried_again_and_named_when_it_does_not(
    answer: Answer, kind: type[UpstreamError]
) -> None:
    world = World(answer, answer, ok(b"here"))
    task = world.send()
    await world.done(task)
    assert task.result().content == b"here"

    world = World(then=answer, attempts=3)
    assert type(await world.failure()) is kind
    assert len(world.service.asked) == 3


async def test_the_attempts_are_twice_as_far_apart_each_time_up_to_a_bound() -> None:
    world = World(then=status(500), attempts=5, longest_backoff=3.0)
    await world.failure()
    assert world.service.asked == [0.0, 1.0, 3.0, 6.0, 9.0]


async def test_jitter_takes_up_to_half_of_the_wait() -> None:
    world = World(then=status(500), attempts=2)
    world.upstream._uniform = lambda: 1.0
    await world.failure()
    assert world.service.asked == [0.0, 0.5]


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 422])
async def test_a_refusal_is_not_asked_again_and_keeps_what_the_service_said(code: int) -> None:
    world = World(httpx2.Response(code, content=b"because"))
    failure = await world.failure()
    assert isinstance(failure, RequestRejected)
    assert (failure.status, failure.body) == (code, b"because")
    assert len(world.service.asked) == 1
    assert "because" not in str(failure)


@pytest.mark.parametrize("code", [429, 503])
async def test_while_the_service_asks_for_rest_nobody_sends(code: int) -> None:
    world = World(status(code, retry_after="20"), then=ok())
    first = world.send()
    await world.settle()
    others = [world.send() for _ in range(3)]
    await world.done(first, *others)
    assert world.service.asked == [0.0, 20.0, 20.0, 20.0, 20.0]


async def test_a_rest_that_is_asked_for_while_others_wait_for_their_turn_holds_them_too() -> None:
    world = World(status(429, retry_after="20"), then=ok(), rate=1, at_once=8)
    await world.done(*[world.send() for _ in range(3)])
    assert world.service.asked == [0.0, 20.0, 21.0, 22.0]


async def test_the_rest_may_be_given_as_a_date() -> None:
    world = World(status(429, retry_after="Tue, 14 Nov 2023 22:13:32 GMT"), then=ok())
    await world.done(world.send())
    assert world.service.asked == [0.0, 12.0]


async def test_a_rest_longer_than_a_job_should_wait_fails_at_once_for_everybody_and_ends() -> None:
    world = World(status(429, retry_after="600"), then=ok(), patience=30.0)
    assert isinstance(await world.failure(), RateLimited)
    assert isinstance(await world.failure(), RateLimited)
    assert world.service.asked == [0.0]
    assert world.clock.monotonic() == 0.0
    world.clock.advance(600)
    task = world.send()
    await world.done(task)
    assert task.result().status_code == 200


async def test_a_rest_of_a_year_is_not_believed() -> None:
    world = World(status(503, retry_after=str(365 * 86400)), then=ok())
    await world.failure()
    world.clock.advance(LONGEST_HOLD)
    task = world.send()
    await world.done(task)
    assert task.result().status_code == 200


async def test_a_service_with_its_own_way_of_asking_for_rest_is_understood() -> None:
    body = b'{"error": {"code": 429, "details": [{"retryDelay": "7s"}]}}'
    world = World(httpx2.Response(429, content=body), then=ok())
    await world.done(world.send())
    assert world.service.asked == [0.0, 7.0]


async def test_a_dead_service_costs_a_thousand_requests_seconds() -> None:
    world = World(then=httpx2.ConnectError("refused"), failures=5)
    for _ in range(1000):
        assert isinstance(await world.failure(), Unavailable)
    assert len(world.service.asked) == 5
    assert world.clock.monotonic() < 15


async def test_a_hanging_service_costs_a_thousand_requests_less_than_a_minute() -> None:
    world = World(then=None, failures=5, timeout=10.0, at_once=4)
    tasks = [world.send() for _ in range(1000)]
    await world.done(*tasks)
    assert {type(task.exception()) for task in tasks} == {UpstreamTimeout}
    assert len(world.service.asked) <= 8
    assert world.clock.monotonic() < 60


async def test_after_its_rest_one_request_tries_how_things_are_and_the_others_fail_at_once() -> None:
    world = World(*[status(503)] * 3, then=None, failures=3, attempts=1, pause=30.0, timeout=1000.0)
    for _ in range(3):
        await world.failure()
    world.clock.advance(30.0)
    probe = world.send()
    await world.settle()
    assert isinstance(await world.failure(), Unavailable)
    assert len(world.service.asked) == 4
    probe.cancel()
    await world.settle()


async def test_a_service_that_is_back_serves_everybody_again() -> None:
    world = World(*[status(503)] * 3, then=ok(), failures=3, attempts=1, pause=30.0)
    for _ in range(3):
        await world.failure()
    world.clock.advance(30.0)
    await world.done(world.send())
    tasks = [world.send() for _ in range(10)]
    await world.done(*tasks)
    assert {task.result().status_code for task in tasks} == {200}


async def test_a_service_that_is_still_dead_rests_again() -> None:
    world = World(then=status(503), failures=3, attempts=4, pause=30.0)
    await world.failure()
    world.clock.advance(30.0)
    asked = len(world.service.asked)
    await world.failure()
    await world.failure()
    assert len(world.service.asked) == asked + 1


async def test_the_request_that_tries_how_things_are_may_be_withdrawn_without_harm() -> None:
    world = World(status(503), None, then=ok(), failures=1, attempts=1, pause=30.0)
    await world.failure()
    world.clock.advance(30.0)
    probe = world.send()
    await world.settle()
    probe.cancel()
    await world.settle()
    task = world.send()
    await world.done(task)
    assert task.result().status_code == 200
    assert world.service.under_way == 0


async def test_a_refusal_shows_that_the_service_lives() -> None:
    world = World(*[status(503), status(503), status(404)] * 5, failures=3, attempts=1)
    kinds = [type(await world.failure()) for _ in range(15)]
    assert kinds == [Unavailable, Unavailable, RequestRejected] * 5


async def test_a_spent_quota_is_called_by_its_name_while_the_service_rests() -> None:
    world = World(then=status(429), failures=2, attempts=1)
    assert [type(await world.failure()) for _ in range(4)] == [RateLimited] * 4
    assert len(world.service.asked) == 2


KEY_REFUSED = httpx2.Response(400, json={"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}})
DAY_SPENT = httpx2.Response(
    429,
    json={
        "error": {
            "code": 429,
            "details": [{"violations": [{"quotaId": "RequestsPerDay"}]}, {"retryDelay": "38s"}],
        }
    },
)


@pytest.mark.parametrize(
    ("answer", "reason", "seconds"),
    [(KEY_REFUSED, Reason.KEY_REFUSED, REFUSED_HOLD), (DAY_SPENT, Reason.DAY_QUOTA, LONGEST_HOLD)],
)
async def test_what_no_request_can_change_is_asked_once_for_all_and_logged_once(
    capsys: pytest.CaptureFixture[str], answer: httpx2.Response, reason: Reason, seconds: float
) -> None:
    world = World(answer, then=ok(), at_once=24)
    tasks = [world.send() for _ in range(24)]
    await world.done(*tasks)
    failures = [task.exception() for task in tasks]
    assert {failure.reason for failure in failures if isinstance(failure, UpstreamError)} == {reason}
    assert (len(failures), len(world.service.asked)) == (24, 1)
    assert world.clock.monotonic() == 0.0
    assert capsys.readouterr().out.count("upstream refuses all requests") == 1
    world.clock.advance(seconds)
    task = world.send()
    await world.done(task)
    assert task.result().status_code == 200


async def test_what_goes_wrong_with_a_request_on_its_way_does_not_hide_why_all_are_refused() -> None:
    world = World(ok(), KEY_REFUSED, httpx2.ConnectError("reset"), at_once=4, attempts=1)
    await world.done(world.send())
    await world.done(world.send(), world.send())
    assert (await world.failure()).reason is Reason.KEY_REFUSED
    assert len(world.service.asked) == 3


async def test_a_first_request_that_hangs_holds_the_others_for_a_moment_only() -> None:
    world = World(None, then=ok(), timeout=60.0, attempts=1)
    first, *others = [world.send() for _ in range(4)]
    await world.done(*others)
    assert world.clock.monotonic() <= TRIAL_SECONDS
    assert not first.done()
    first.cancel()
    await world.settle()


async def test_every_failed_attempt_is_reported_with_its_reason() -> None:
    world = World(status(500), status(429), status(404))
    reasons: list[Reason] = []
    world.upstream._report = reasons.append
    await world.failure()
    assert reasons == [Reason.DOWN, Reason.RATE_QUOTA, Reason.REQUEST_REFUSED]


async def test_an_answer_is_followed_on_the_same_host_and_nowhere_else() -> None:
    moved = status(301, location="https://books.example/elsewhere")
    world = World(moved, ok(b"here"))
    task = world.send()
    await world.done(task)
    assert task.result().content == b"here"
    assert [request.url.path for request in world.service.requests] == ["/search", "/elsewhere"]
    for location in ("https://login.example/", "http://books.example/search", "https://books.example:444/"):
        world = World(then=status(302, location=location), attempts=1)
        failure = await world.failure()
        assert "points elsewhere" in str(failure)
        assert len(world.service.asked) == 1
    world = World(then=moved, attempts=1)
    assert isinstance(await world.failure(), Unavailable)


async def test_success_with_nothing_but_an_error_is_none() -> None:
    world = World(ok(b'{"error": {"code": 500, "message": "backend"}}'), ok(b'{"items": []}'))
    task = world.send()
    await world.done(task)
    assert task.result().content == b'{"items": []}'


async def test_an_answer_that_cannot_be_unpacked_is_tried_again() -> None:
    world = World(httpx2.DecodingError("zlib"), then=httpx2.DecodingError("zlib"), attempts=2)
    failure = await world.failure()
    assert (failure.reason, len(world.service.asked)) == (Reason.BAD_ANSWER, 2)


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    world = World(then=ok(b"x" * 1001), most_bytes=1000, failures=2)
    for _ in range(3):
        assert isinstance(await world.failure(), Unavailable)
    assert len(world.service.asked) == 3, "once each: neither is it tried again, nor is the service down"


async def test_the_key_is_in_no_failure_no_cause_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (httpx2.ConnectError(KEY), httpx2.ReadTimeout(KEY), status(503), httpx2.Response(400, text=KEY)):
        failure: BaseException | None = await World(then=answer, attempts=2).failure()
        while failure is not None:
            assert KEY not in repr(failure) + str(failure)
            assert not isinstance(failure, httpx2.HTTPError)
            failure = failure.__cause__ or failure.__context__
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0.0),
        ("9" * 40, 999_999_999.0),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
    ],
)
def test_the_header_may_be_seconds_or_a_date_and_anything_else_is_nothing(text: str, seconds: float | None) -> None:
    assert retry_after(text, 1_700_000_000_000) == seconds


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback that does what a test wants with each connection."""
    tasks = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def over(url: str, **limits: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        upstream = UpstreamClient(client, name="Books", limits=Limits(**{"rate": 100, "attempts": 1, **limits}))
        return await upstream.send(client.build_request("GET", url))


async def test_a_compressed_answer_is_read_as_what_it_says() -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = gzip.compress(b'{"title": "Emma"}')
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with listening(handler) as url:
        response = await over(url)
    assert response.json() == {"title": "Emma"}


async def test_an_answer_that_trickles_in_is_given_up_at_the_time_out_of_the_whole() -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(handler) as url:
        with pytest.raises(UpstreamTimeout):
            await over(url, timeout=0.2)


async def test_a_service_that_accepts_and_says_nothing_is_given_up() -> None:
    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(handler) as url:
        with pytest.raises(UpstreamTimeout):
            await over(url, timeout=0.2)


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()

    async with listening(handler) as url:
        with pytest.raises(Unavailable):
            await over(url)


async def test_where_nobody_listens_the_service_is_unavailable() -> None:
    async def handler(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None: ...

    async with listening(handler) as url:
        pass
    with pytest.raises(Unavailable):
        await over(url, attempts=2, backoff=0.01)
