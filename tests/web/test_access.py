from functools import partial
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from shelfwire.errors import Code
from shelfwire.settings import Secret
from shelfwire.testing import FakeClock, MemoryDatabase
from shelfwire.testing.memory_nodes import MemoryNodes
from shelfwire.web import access, creation_limit
from shelfwire.web.creation_limit import CreationLimit, RateLimit
from tests.live import MakeServer, Server, bearer, next_message

KEY, OTHER_KEY = "a-key-of-the-web-app", "another-one-of-the-phone-app"
APP, FOREIGN = "https://app.example.com", "https://foreign.example"


async def post(server: Server, **headers: str) -> Any:
    sent = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    return await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")}, headers=sent)


@pytest.mark.parametrize("key", [None, "", "wrong-but-long-enough", KEY[:-1], KEY.upper(), f"{KEY},{OTHER_KEY}", "é"])
async def test_once_there_are_api_keys_a_job_is_made_only_with_one(make_server: MakeServer, key: str | None) -> None:
    async with make_server(gated=True, api_keys=(Secret(KEY), Secret(OTHER_KEY))) as server:
        response = await post(server, **({} if key is None else {"X_API_Key": key}))
    document = response.json()
    assert (response.status_code, document["code"]) == (401, Code.UNAUTHORIZED)
    assert "X-API-Key" in document["detail"]
    assert response.headers["www-authenticate"] == 'ApiKey header="X-API-Key"'
    assert KEY not in response.text


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
async def test_each_of_the_keys_makes_jobs_that_their_tokens_alone_open(make_server: MakeServer, key: str) -> None:
    async with make_server(gated=True, api_keys=(Secret(KEY), Secret(OTHER_KEY))) as server:
        created = (await post(server, X_API_Key=key)).json()["data"]
        assert (await server.state(created))["jobId"] == created["jobId"]
        refused = await server.http.get(created["links"]["self"], headers={"X-API-Key": key})
    assert refused.status_code == 401


async def test_a_caller_beyond_its_limit_is_told_when_to_come_back_and_the_other_keys_caller_is_not_held_up(
    make_server: MakeServer,
) -> None:
    async with make_server(gated=True, create_limit=2, api_keys=(Secret(KEY), Secret(OTHER_KEY))) as server:
        taken = [(await post(server, X_API_Key=KEY)).status_code for _ in range(2)]
        refused = await post(server, X_API_Key=KEY)
        other = await post(server, X_API_Key=OTHER_KEY)
    document = refused.json()
    assert (taken, refused.status_code, other.status_code) == ([202, 202], 429, 202)
    assert (document["code"], document["retryable"]) == (Code.RATE_LIMITED, True)
    assert document["details"] == {"limit": 2, "retryAfter": int(refused.headers["retry-after"])}
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_without_keys_callers_are_limited_by_their_address(make_server: MakeServer) -> None:
    async with make_server(gated=True, create_limit=1, trusted_proxies=("127.0.0.1",)) as server:
        first, second = await post(server, X_API_Key="one"), await post(server, X_API_Key="two")
        # The proxy on this machine says whom it speaks for.
        other = await post(server, X_Forwarded_For="203.0.113.7")
        neighbours = [await post(server, X_Forwarded_For=f"2001:db8:1:2::{end}") for end in (1, 2)]
    assert (first.status_code, second.status_code, other.status_code) == (202, 429, 202)
    assert [neighbour.status_code for neighbour in neighbours] == [202, 429]


def test_within_any_minute_a_caller_is_admitted_so_often_and_no_more() -> None:
    clock = FakeClock()
    limit = RateLimit(3, clock)
    assert limit.admit("a") == 0
    clock.advance(50)
    assert [limit.admit("a") for _ in range(3)] == [0, 0, 10]
    clock.advance(9.5)
    assert limit.admit("a") == 1
    clock.advance(0.5)
    assert [limit.admit("a"), limit.admit("a")] == [0, 50]
    assert limit.admit("b") == 0
    clock.advance(50)
    assert [limit.admit("a") for _ in range(3)] == [0, 0, 10]


def test_who_comes_back_when_told_to_is_admitted() -> None:
    clock = FakeClock()
    limit = RateLimit(1, clock)
    limit.admit("a")
    clock.advance(0.001)
    clock.advance(limit.admit("a"))
    assert limit.admit("a") == 0


def test_without_a_limit_everybody_is_admitted() -> None:
    limit = RateLimit(0, FakeClock())
    assert {limit.admit("a") for _ in range(1000)} == {0}


def test_any_number_of_callers_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation_limit, "MAX_CALLERS", 100)
    limit = RateLimit(2, FakeClock())
    for number in range(1000):
        limit.admit(f"caller {number}")
    assert len(limit._admitted) == 100
    assert [limit.admit("caller 999"), limit.admit("caller 999")] == [0, 60]


class Asked(MemoryNodes):
    """Counts how often the store is asked."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database, None)
        self.asked = 0

    async def admit(self, identity: bytes, limit: int, now: int) -> int:
        self.asked += 1
        return await super().admit(identity, limit, now)


def _same(nodes: Asked) -> Asked:
    return nodes


async def test_nodes_count_a_caller_together_and_do_not_ask_for_one_that_was_refused() -> None:
    clock, database = FakeClock(), MemoryDatabase()
    nodes = [Asked(database), Asked(database)]
    one, two = (CreationLimit(2, clock, partial(_same, own)) for own in nodes)
    assert [await one.admit("a"), await two.admit("a"), await two.admit("b")] == [0, 0, 0]
    clock.advance(20)
    assert [await one.admit("a") for _ in range(100)] == [40] * 100
    assert nodes[0].asked == 2
    assert await one.admit("a", 3) == 0, "a key has a limit of its own"
    clock.advance(40)
    assert [await one.admit("a"), await one.admit("a")] == [0, 20]


async def test_what_has_no_limit_is_not_asked_for() -> None:
    nodes = Asked(MemoryDatabase())
    limit = CreationLimit(2, FakeClock(), lambda: nodes)
    assert {await limit.admit("a", 0) for _ in range(10)} == {0}
    assert nodes.asked == 0


async def preflight(server: Server, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-api-key,idempotency-key,last-event-id,if-none-match,"
        "content-type,cache-control,pragma,x-requested-with,traceparent,x-request-id",
    }
    return await server.http.options("/api/import/csv-gemini", headers=headers)


@pytest.mark.parametrize("origins", [(APP,), (APP, "http://localhost:3000"), ("*",)])
async def test_an_allowed_websites_browser_is_told_what_it_may_do(
    make_server: MakeServer, origins: tuple[str, ...]
) -> None:
    async with make_server(gated=True, origins=origins) as server:
        before = await preflight(server, APP)
        created = await post(server, Origin=APP)
        refused = await server.http.get("/api/jobs/x", headers={"Origin": APP})
    assert refused.headers["x-error-code"] == Code.UNAUTHORIZED
    assert (before.status_code, created.status_code, refused.status_code) == (204, 202, 401)
    asked_for = before.request.headers["access-control-request-headers"]
    assert before.headers["access-control-allow-headers"] == asked_for
    for response in (before, created, refused):
        assert response.headers["access-control-allow-origin"] in {APP, "*"}
        assert "access-control-allow-credentials" not in response.headers
    exposed = {name.strip() for name in created.headers["access-control-expose-headers"].split(",")}
    why = {"WWW-Authenticate", "X-Error-Code"}
    assert exposed == {"Location", "Retry-After", "ETag", "X-Request-Id", "Link", "Content-Disposition", *why}


@pytest.mark.parametrize("origin", [FOREIGN, f"{APP}.evil.example", "http://app.example.com", "null", "x"])
async def test_a_foreign_websites_script_is_kept_out(make_server: MakeServer, origin: str) -> None:
    async with make_server(gated=True, origins=(APP,)) as server:
        before = await preflight(server, origin)
        refused = await post(server, Origin=origin)
        job = await server.submit()
        with pytest.raises(InvalidStatus) as socket:
            await server.socket(job, additional_headers={"Origin": origin})
    assert "access-control-allow-origin" not in before.headers
    assert "access-control-allow-origin" not in refused.headers
    document = refused.json()
    assert (refused.status_code, document["code"]) == (403, Code.FORBIDDEN)
    assert origin in document["detail"]
    assert "'origins'" in document["detail"]
    assert socket.value.response.status_code == 403
    assert origin.encode() in bytes(socket.value.response.body)


async def test_a_website_whose_address_only_looks_like_the_servers_is_foreign(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        origin = server.url.replace("http://", "http://evil@")
        refused = await post(server, Origin=origin)
        job = await server.submit()
        with pytest.raises(InvalidStatus) as socket:
            await server.socket(job, additional_headers={"Origin": origin})
    assert (refused.status_code, socket.value.response.status_code) == (403, 403)


async def test_a_script_of_the_servers_own_website_an_allowed_one_and_no_browser_may_attach(
    make_server: MakeServer,
) -> None:
    async with make_server(gated=True, origins=(APP,)) as server:
        job = await server.submit()
        for headers in ({}, {"Origin": server.url}, {"Origin": APP}):
            async with server.socket(job, additional_headers=headers) as socket:
                assert (await next_message(socket)).job_id == job["jobId"]
        created = await post(server, Origin=server.url)
    assert created.status_code == 202


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://a.example", "a.example", True),
        ("https://a.example", "a.example:443", True),
        ("http://a.example", "A.example:80", True),
        ("http://[::1]:8787", "[::1]:8787", True),
        ("http://a.example", "a.example:443", False),
        ("https://a.example:8443", "a.example", False),
        ("https://b.example", "a.example", False),
        ("https://a.example", None, False),
        ("null", "null", False),
        ("https://a.example:x", "a.example", False),
        ("https://a.example", "a.example:99999", False),
        ("https://[", "[", False),
        ("http://evil@127.0.0.1", "127.0.0.1", False),
        ("http://evil@127.0.0.1:8787", "evil@127.0.0.1:8787", False),
        ("http://a.example/x", "a.example", False),
        ("http://evil.example#a.example", "a.example", False),
        ("http://a.example", "a.example.:80", True),
    ],
)
def test_an_origin_is_the_servers_own_by_name_and_port(origin: str, host: str | None, same: bool) -> None:  # noqa: FBT001
    assert access._same_host(origin, host) is same


async def test_the_token_may_come_as_a_subprotocol_and_is_not_the_one_selected(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        offered = [Subprotocol(f"shelfwire.bearer.{job['token']}"), Subprotocol("shelfwire.v1")]
        async with server.socket(query=f"jobId={job['jobId']}", subprotocols=offered) as socket:
            assert socket.subprotocol == "shelfwire.v1"
            assert (await next_message(socket)).job_id == job["jobId"]
        async with server.socket(query=f"jobId={job['jobId']}", subprotocols=offered[:1]) as socket:
            assert socket.subprotocol is None
        async with server.socket(job, subprotocols=offered[1:]) as socket:
            assert socket.subprotocol == "shelfwire.v1"


async def test_of_several_tokens_the_headers_counts_before_the_subprotocols_and_that_before_the_querys(
    make_server: MakeServer,
) -> None:
    def offered(token: str) -> list[Subprotocol]:
        return [Subprotocol("shelfwire.v1"), Subprotocol(f"shelfwire.bearer.{token}")]

    async with make_server(gated=True) as server:
        job = await server.submit()
        query, token = f"jobId={job['jobId']}", job["token"]
        async with server.socket(
            query=f"{query}&token=wrong", subprotocols=offered("wrong"), additional_headers=bearer(token)
        ):
            pass
        async with server.socket(query=f"{query}&token=wrong", subprotocols=offered(token)):
            pass
        with pytest.raises(InvalidStatus):
            await server.socket(query=f"{query}&token={token}", subprotocols=offered("wrong"))
        with pytest.raises(InvalidStatus):
            await server.socket(
                query=f"{query}&token={token}", subprotocols=offered(token), additional_headers=bearer("wrong")
            )
