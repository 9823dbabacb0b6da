"""Webhooks from the creation of a job to the call when it has ended, and what operators see of them."""

import base64
from typing import Any

import httpx2
import msgspec
import pytest

from shelfwire.errors import Code
from shelfwire.settings import Secret
from shelfwire.web.keys import Key, Role, changing_keys, digest_of, new_key
from tests.live import MakeServer, Server, bearer, until
from tests.receiver import OK, SECRET, Receiver, payload, receiver
from tests.web.remote_work import PIPELINE, Attempt, done
from tests.web.test_http import assert_problem

PHOTO = b"\xff\xd8\xff\xe0 not much of a photo"
ROUTES: dict[str, Any] = {
    "a form": ("/api/import/csv-gemini", "field", {"files": {"file": ("books.csv", b"Title\nEmma\n")}}),
    "a body that is one file": (
        "/api/scan-bookshelf",
        "query",
        {"content": PHOTO, "headers": {"Content-Type": "image/jpeg"}},
    ),
    "photos in JSON": (
        "/api/scan-bookshelf/batch",
        "member",
        {"json": {"images": [{"index": 0, "data": base64.b64encode(PHOTO).decode()}]}},
    ),
    "books in JSON": ("/api/enrichment/batch", "member", {"json": {"books": [{"title": "Emma"}]}}),
    "any pipeline": (f"/api/pipelines/{PIPELINE}/jobs", "member", {"json": {"pages": 3}}),
    "a job of one's own": ("/api/jobs", "member", {"json": {"pipeline": PIPELINE}}),
}


def allowing(them: Receiver) -> dict[str, Any]:
    """The settings of a server that may call a receiver."""
    return {"callback_hosts": (f"127.0.0.1:{them.port}",), "callback_secrets": (Secret(SECRET),)}


def address(them: Receiver) -> str:
    return f"http://127.0.0.1:{them.port}/ended?of=me"


async def create(server: Server, route: str, url: str, **more: Any) -> httpx2.Response:
    path, where, options = ROUTES[route]
    options = msgspec.json.decode(msgspec.json.encode(options["json"])) if "json" in options else dict(options)
    if where == "member":
        return await server.http.post(path, json={**options, "callbackUrl": url}, **more)
    if where == "query":
        return await server.http.post(path, params={"callbackUrl": url}, **options, **more)
    return await server.http.post(path, data={"callbackUrl": url}, **options, **more)


@pytest.mark.parametrize("route", ROUTES)
async def test_every_way_to_create_a_job_takes_an_address_that_is_called_at_its_end(
    make_server: MakeServer, route: str
) -> None:
    async with receiver() as them, make_server(**allowing(them)) as server:
        answer = await create(server, route, address(them))
        assert answer.status_code == 202, answer.text
        job = answer.json()["data"]
        await server.ask("DELETE", job)
        received = await them.next()
        message = received.verified
    assert received.line == "POST /ended?of=me HTTP/1.1"
    assert message["jobId"] == job["jobId"]
    assert message["type"] in {"error", "job_complete"}
    assert received.headers["webhook-id"] == f"{job['jobId']}.{message['seq']}"


@pytest.mark.parametrize("route", ROUTES)
async def test_an_address_that_may_not_be_called_is_refused_and_no_job_is_made(
    make_server: MakeServer, route: str
) -> None:
    async with make_server() as server:
        refused = await create(server, route, "https://hooks.example.com/")
        assert_problem(refused, 422, Code.CALLBACK_REFUSED)
        assert "callback_hosts" in refused.json()["detail"]
        too_long = await create(server, route, "https://hooks.example.com/" + "a" * 2000)
        assert too_long.status_code in {400, 422}
        assert not (await server.app.service.stats()).jobs


async def test_the_ending_that_is_told_is_the_one_that_followers_get_but_for_the_results(
    make_server: MakeServer,
) -> None:
    async with receiver() as them, make_server(**allowing(them)) as server:
        attempt = await Attempt.create(server, totalCount=2, callbackUrl=address(them))
        await attempt.report(number=1, items=done(0, 1), end={"complete": {"summary": "Two pages"}})
        received = await them.next()
        state = await attempt.state()
    assert payload(received) == {
        "successCount": 2,
        "failureCount": 0,
        "duration": 0,
        "results": {},
        "summary": "Two pages",
        "resultsUrl": state["links"]["results"],
        "truncated": True,
    }
    assert "callbackUrl" not in state


async def test_the_same_key_with_another_address_is_another_request(make_server: MakeServer) -> None:
    async with receiver() as them, make_server(**allowing(them)) as server:
        headers = {"Idempotency-Key": "a key that nobody guesses"}
        first, again, other = [
            await create(server, "a form", address(them) + more, headers=headers) for more in ("", "", "&too")
        ]
    assert first.json()["data"]["jobId"] == again.json()["data"]["jobId"]
    assert_problem(other, 422, Code.IDEMPOTENCY_MISMATCH)


async def test_a_retry_of_a_job_calls_the_same_address(make_server: MakeServer) -> None:
    async with receiver() as them, make_server(**allowing(them)) as server:
        attempt = await Attempt.create(server, totalCount=2, callbackUrl=address(them))
        await attempt.report(number=1, items=done(0), end={"complete": {}})
        first = await them.next()
        job = {"jobId": attempt.job_id, "token": attempt.owner}
        again = (await server.ask("POST", job, "/retry")).json()["data"]
        await server.ask("DELETE", again)
        second = await them.next()
    assert [first.verified["jobId"], second.verified["jobId"]] == [attempt.job_id, again["jobId"]]


async def test_what_could_not_be_delivered_is_delivered_after_a_restart(make_server: MakeServer) -> None:
    async with receiver(None) as them:
        async with make_server(**allowing(them)) as server:
            attempt = await Attempt.create(server, callbackUrl=address(them))
            await server.ask("DELETE", {"jobId": attempt.job_id, "token": attempt.owner})
            first = await them.next()
        async with make_server(**allowing(them)):
            second = await them.next()
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


@pytest.fixture
def keys(tmp_path: Any) -> dict[Role, dict[str, str]]:
    """A key of each role, as headers."""
    made = {role: new_key(role, role.encode().ljust(32)) for role in Role}
    with changing_keys(tmp_path / "data" / "keys.toml") as stored:
        stored.update({role.slug: Key(role=role, digest=digest_of(key)) for role, key in made.items()})
    return {role: {"X-API-Key": key} for role, key in made.items()}


async def test_an_operator_sees_what_is_waiting_and_given_up_and_has_it_tried_again(
    make_server: MakeServer, keys: dict[Role, dict[str, str]]
) -> None:
    gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    async with receiver(gone, otherwise=OK) as them, make_server(**allowing(them)) as server:
        server.http.headers.update(keys[Role.WORK])
        attempts = [await Attempt.create(server, callbackUrl=address(them)) for _ in range(2)]
        for attempt in attempts:
            await server.ask("DELETE", {"jobId": attempt.job_id, "token": attempt.owner})
            await them.next()

        async def listed(**query: Any) -> dict[str, Any]:
            answer = await server.http.get("/api/admin/webhooks", params=query, headers=keys[Role.READ])
            assert answer.status_code == 200, answer.text
            page: dict[str, Any] = answer.json()["data"]
            return page

        outbox = server.app.service.outbox
        while len((await listed(status="done"))["items"]) + len((await listed(status="given_up"))["items"]) < 2:
            """The answers are noted in a moment."""
        (given_up,) = (await listed(status="given_up"))["items"]
        assert (given_up["lastError"], given_up["tries"], given_up["url"]) == ("HTTP 410", 1, address(them))
        metrics = (await server.http.get("/metrics")).text
        assert 'shelfwire_webhooks{scope="cluster",status="given_up"} 1.0' in metrics
        assert 'shelfwire_webhook_seconds_count{result="given_up"} 1.0' in metrics
        overview = (await server.http.get("/api/admin/overview", headers=keys[Role.READ])).json()["data"]
        assert overview["webhooks"] == {"waiting": 0, "givenUp": 1}
        first = await listed(limit=1)
        assert first["items"][0]["jobId"] == attempts[1].job_id
        rest = await listed(limit=1, cursor=first["next"])
        assert (rest["items"], rest["next"]) == ([given_up], None)
        path = f"/api/admin/webhooks/{given_up['id']}/retry"
        assert_problem(await server.http.post(path, headers=keys[Role.READ]), 403, Code.FORBIDDEN)
        again = await server.http.post(path, headers=keys[Role.ADMIN])
        assert (again.status_code, again.json()["data"]["status"]) == (200, "waiting")
        assert (await them.next()).headers["webhook-id"] == given_up["id"]
        assert outbox is server.app.service.outbox


async def test_webhooks_are_for_operators_alone(make_server: MakeServer, keys: dict[Role, dict[str, str]]) -> None:
    async with make_server() as server:
        for method, path in (("GET", "/api/admin/webhooks"), ("POST", "/api/admin/webhooks/x.1/retry")):
            assert_problem(await server.http.request(method, path), 401, Code.UNAUTHORIZED)
            for role in (Role.CREATE, Role.WORK):
                assert_problem(await server.http.request(method, path, headers=keys[role]), 403, Code.FORBIDDEN)
        unknown = await server.http.post("/api/admin/webhooks/x.1/retry", headers=keys[Role.ADMIN])
        assert_problem(unknown, 404, Code.NOT_FOUND)
        wrong = await server.http.get("/api/admin/webhooks", params={"cursor": "?"}, headers=keys[Role.ADMIN])
        assert_problem(wrong, 400, Code.INVALID_REQUEST)


async def test_without_a_key_for_operators_there_is_no_such_route_from_elsewhere(make_server: MakeServer) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    async with make_server(api_keys=(Secret("a key of sixteen characters"),)) as server:
        response = await server.http.get("/api/admin/webhooks", headers=elsewhere)
        assert_problem(response, 404, Code.NOT_FOUND)


async def test_addresses_to_call_are_in_no_log(make_server: MakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    async with receiver() as them, make_server(**allowing(them)) as server:
        answer = await create(server, "a body that is one file", address(them) + "&secret=7h3s3cr3t")
        await server.ask("DELETE", answer.json()["data"])
        await them.next()
        await until(lambda: bool(them.received))
    out = capsys.readouterr()
    assert "7h3s3cr3t" not in out.out + out.err
    assert bearer(answer.json()["data"]["token"])["Authorization"] not in out.out + out.err
