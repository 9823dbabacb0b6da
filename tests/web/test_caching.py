"""What clients, proxies and phones may keep of answers, what is not sent twice, and what is sent compressed."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.web import compression
from shelfwire.web.accept import takes_gzip
from tests.live import MakeServer, Server, bearer, next_of

ROWS = 200
LIBRARY = b"Title,Author\n" + b"".join(b"Book %d,Jane Austen\n" % number for number in range(ROWS))


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Server]:
    async with make_server() as server:
        yield server


async def test_a_state_that_is_known_already_is_not_sent_again(server: Server) -> None:
    job = await server.submit(LIBRARY)
    await server.ended(job)
    known = await server.ask("GET", job)
    tag = known.headers["etag"]
    for sent in (tag, f'"0", {tag}', "*", tag.removeprefix("W/"), f"W/{tag.removeprefix('W/')}"):
        same = await server.ask("GET", job, headers={"If-None-Match": sent})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"].removeprefix("W/") == tag.removeprefix("W/")
        assert same.headers["cache-control"] == known.headers["cache-control"] == "private, no-cache"
        assert "Accept-Encoding" in same.headers["vary"]
    for other in ('"0"', "", tag.strip('W/"'), 'W/"0", "1"'):
        assert (await server.ask("GET", job, headers={"If-None-Match": other})).status_code == 200


async def test_a_wait_that_brings_no_news_sends_nothing_either(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
        known = await server.ask("GET", job)
        query = {"after": known.json()["data"]["seq"], "wait": 0.01}
        headers = {"If-None-Match": known.headers["etag"]}
        same = await server.ask("GET", job, params=query, headers=headers)
        waiting = asyncio.create_task(server.ask("GET", job, params=query | {"wait": 30}, headers=headers))
        server.gate.steps.put_nowait(1)
        news = await waiting
    assert (same.status_code, same.content) == (304, b"")
    assert (news.status_code, news.json()["data"]["processedCount"]) == (200, 1)


async def test_nothing_with_a_token_or_with_results_is_kept(server: Server) -> None:
    created = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", LIBRARY)})
    job = created.json()["data"]
    await server.ended(job)
    refused = await server.http.get(job["links"]["self"], headers=bearer("wrong"))
    answers = [created, refused, await server.ask("POST", job, "/token"), await server.http.get("/nowhere")]
    for kind in ("application/json", "text/csv", "application/x-ndjson"):
        answers.append(await server.ask("GET", job, "/results", headers={"Accept": kind}))
        assert answers[-1].headers["vary"] == "Accept, Accept-Encoding"
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * len(answers)


def parts(answer: httpx2.Response) -> Any:
    """What an answer says, without when it was given."""
    if answer.headers["content-type"] != "application/json":
        return answer.text
    document = answer.json()
    return document.get("data", document)


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-ndjson"])
async def test_results_are_compressed_for_those_who_take_it(server: Server, kind: str) -> None:
    job = await server.submit(LIBRARY)
    await server.ended(job)
    plain, small, zipped = [
        await server.ask("GET", job, "/results", headers={"Accept": kind, "Accept-Encoding": coding}, params=query)
        for coding, query in (("identity", {"limit": ROWS}), ("gzip", {"limit": 1}), ("br, gzip", {"limit": ROWS}))
    ]
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in small.headers, "it would hardly become smaller"
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert parts(zipped) == parts(plain)


async def test_a_compressed_state_has_a_weak_tag_since_its_bytes_are_others(server: Server) -> None:
    job = await server.submit(LIBRARY)
    seq = (await server.ended(job))["seq"]
    plain = await server.ask("GET", job, headers={"Accept-Encoding": "identity"})
    zipped = await server.ask("GET", job, headers={"Accept-Encoding": "gzip"})
    assert (plain.headers["etag"], zipped.headers["etag"]) == (f'"{seq}"', f'W/"{seq}"')
    assert plain.headers["vary"] == zipped.headers["vary"] == "Accept-Encoding"
    assert parts(plain) == parts(zipped)


async def test_no_answer_with_a_token_is_compressed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MIN_BYTES", 1)
    job = await server.submit(LIBRARY)
    await server.ended(job)
    with_tokens = [
        await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", LIBRARY)}),
        await server.ask("POST", job, "/token", json={"scopes": ["watch"]}),
    ]
    assert all(answer.json()["data"]["token"] for answer in with_tokens)
    assert ["content-encoding" in answer.headers for answer in with_tokens] == [False, False]
    assert (await server.ask("GET", job)).headers["content-encoding"] == "gzip"


async def test_a_large_answer_is_compressed_in_a_thread(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_loop: list[bool] = []
    original = gzip.compress

    def compress(*args: Any, **options: Any) -> bytes:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            on_the_loop.append(False)
        else:
            on_the_loop.append(True)
        return original(*args, **options)

    job = await server.submit(LIBRARY)
    await server.ended(job)
    monkeypatch.setattr(gzip, "compress", compress)
    for limit in (10, ROWS):
        answer = await server.ask("GET", job, "/results", params={"limit": limit})
        assert len(answer.json()["data"]["items"]) == limit
    assert on_the_loop == [True, False]


async def test_the_descriptions_for_programs_are_compressed(server: Server) -> None:
    for name in ("openapi", "asyncapi", "messages"):
        answer = await server.http.get(f"/schema/{name}.json")
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(answer.text)


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("x-gzip", True),
        ("*", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0.5, identity", False),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=nonsense", False),
        ("deflate, br", False),
    ],
)
def test_gzip_is_for_those_who_ask_for_it(header: str, *, takes: bool) -> None:
    assert takes_gzip(header) is takes


@given(st.text(max_size=200))
def test_whatever_a_header_says_is_no_error(header: str) -> None:
    takes_gzip(header)
    compression.matching_tag(header, '"1"')


async def test_what_operators_ask_for_is_compressed_and_a_new_key_is_not(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "MIN_BYTES", 1)
    async with make_server() as server:
        job = await server.submit(LIBRARY)
        await server.ended(job)
        (announcement,) = server.app._settings.data.rglob("server.json")
        headers = {"X-API-Key": json.loads(announcement.read_text())["adminKey"]}
        paths = ("/api/jobs", "/api/admin/overview", "/api/admin/audit", "/api/admin/webhooks")
        answers = [await server.http.get(path, headers=headers) for path in (*paths, f"/api/admin/jobs/{job['jobId']}")]
        code = await server.http.post("/api/admin/session", headers=headers)
        key = await server.http.post("/api/admin/session/key", json={"code": code.json()["data"]["code"]})
    assert [answer.headers.get("content-encoding") for answer in answers] == ["gzip"] * 5
    assert key.json()["data"]["apiKey"]
    assert [answer.headers.get("content-encoding") for answer in (code, key)] == [None, None]
