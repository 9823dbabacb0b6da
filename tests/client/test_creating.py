"""Starting jobs over a network that loses answers, and reading what comes of them, against a server in memory."""

import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.client import ConnectionLostError, JobHandle, RefusedError, Upload
from shelfwire.client.http import CutError, Response, UnreachableError
from shelfwire.client.testing import Complete, FakeServer, InstantClock, Record, Start, problem
from shelfwire.errors import Code, ShelfwireError

from .conftest import MakeClient

UPLOAD = Upload("books.csv", b"Title\nEmma\n")


def gateway(status: int = 502) -> Response:
    return Response(status, {}, b"<html>nginx</html>")


async def test_a_request_whose_answer_is_lost_is_sent_again_and_makes_no_second_job(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    server.losing = 2
    job = await client_to(server).start("csv_import", json={"books": []})
    assert list(server.jobs) == [job.job_id]
    keys = {request.headers["Idempotency-Key"] for request in server.requests}
    assert (len(server.requests), len(keys), clock.waits) == (3, 1, [2, 4])


async def test_two_calls_are_two_jobs_unless_the_caller_names_them_one(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    for key in (None, None, "mine", "mine"):
        await client.start("csv_import", json={}, idempotency_key=key)
    assert len(server.jobs) == 3


async def test_options_are_sent_with_files_and_with_json(client_to: MakeClient) -> None:
    server = FakeServer()
    inputs: list[dict[str, Any]] = [{"file": UPLOAD}, {"json": {"books": []}}]
    for given in inputs:
        await client_to(server).start("csv_import", **given, options={"duplicates": "keep", "n": 40, "dry": True})
    assert [request.params for request in server.requests] == [{"duplicates": "keep", "n": "40", "dry": "true"}] * 2


async def test_a_query_in_a_path_is_refused_and_not_dropped(client_to: MakeClient) -> None:
    with pytest.raises(ValueError, match=r"goes into params"):
        await client_to(FakeServer()).create("/api/pipelines/csv_import/jobs?n=40", files=[("file", UPLOAD)])


async def test_an_answer_that_stays_lost_is_given_up(client_to: MakeClient) -> None:
    server = FakeServer()
    server.losing = 99
    with pytest.raises(ConnectionLostError, match="lost"):
        await client_to(server).start("csv_import", json={})
    assert (len(server.requests), len(server.jobs)) == (4, 1)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_that_lost_the_server_counts_as_a_lost_answer(client_to: MakeClient, status: int) -> None:
    server = FakeServer()
    server.will.append(gateway(status))
    await client_to(server).start("csv_import", json={})
    assert len(server.jobs) == 1


async def test_nothing_is_uploaded_again_before_the_server_answers_through_the_gateway(
    client_to: MakeClient, clock: InstantClock
) -> None:
    server = FakeServer()
    server.will.extend([gateway(), gateway(), CutError("cut")])
    await client_to(server).start("csv_import", file=UPLOAD)
    assert [request.method for request in server.requests] == ["POST", "GET", "GET", "GET", "POST"]
    assert (len(server.jobs), clock.waits) == (1, [2, 4, 8])


async def test_an_upload_that_is_cut_off_each_time_may_be_too_large(client_to: MakeClient) -> None:
    server = FakeServer()
    health = Response(200, {}, b'{"status":"ok"}')
    server.will.extend([CutError("cut"), health] * 4)
    with pytest.raises(ConnectionLostError, match="may exceed a limit") as lost:
        await client_to(server).start("csv_import", file=UPLOAD)
    assert "split it" in lost.value.user_message


async def test_a_gateway_before_no_server_is_asked_without_the_upload_until_it_is_given_up(
    client_to: MakeClient,
) -> None:
    server = FakeServer()
    server.will.extend([gateway()] * 99)
    with pytest.raises(ConnectionLostError, match="answered 502") as lost:
        await client_to(server).start("csv_import", file=UPLOAD)
    assert [request.method for request in server.requests] == ["POST", "GET", "GET", "GET"]
    assert "not known whether the job was started" in lost.value.user_message


@pytest.mark.parametrize("more", [0, 1])
async def test_an_upload_that_a_gateway_does_not_pass_on_is_sent_twice_and_said_to_be_too_large(
    client_to: MakeClient, more: int
) -> None:
    server = FakeServer()
    health = Response(200, {}, b'{"status":"ok"}')
    server.will.extend([gateway(), *[gateway()] * more, health, gateway()])
    with pytest.raises(RefusedError, match="while the server could be reached") as refused:
        await client_to(server).start("csv_import", file=UPLOAD)
    assert refused.value.code == Code.FILE_TOO_LARGE
    assert [request.method for request in server.requests].count("POST") == 2


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (413, Code.FILE_TOO_LARGE, "larger than the connection"),
        (429, Code.RATE_LIMITED, "wait a minute"),
        (401, Code.MAX_RETRIES, "Sign in to the network"),
        (403, Code.MAX_RETRIES, "Sign in to the network"),
        (407, Code.MAX_RETRIES, "Sign in to the network"),
        (500, Code.INTERNAL, "Something else answers"),
    ],
)
async def test_what_a_proxy_answers_in_the_servers_place_is_said_to_be_its_own(
    client_to: MakeClient, status: int, code: Code, words: str
) -> None:
    server = FakeServer()
    for call in (client_to(server).start("csv_import", file=UPLOAD), client_to(server).state(server.add())):
        server.will.append(gateway(status))
        with pytest.raises(RefusedError, match=f"answered {status}") as refused:
            await call
        assert refused.value.code == code
        assert words in refused.value.user_message
    assert len(server.requests) == 2


async def test_who_does_not_know_whether_a_job_was_started_asks_again_with_the_key_of_the_error(
    client_to: MakeClient,
) -> None:
    server = FakeServer()
    server.losing = 4
    client = client_to(server)
    with pytest.raises(ConnectionLostError) as lost:
        await client.start("csv_import", json={})
    job = await client.start("csv_import", json={}, idempotency_key=lost.value.idempotency_key)
    assert list(server.jobs) == [job.job_id]
    assert str(lost.value.idempotency_key) not in f"{lost.value}{lost.value!r}"


async def test_a_server_that_restarts_over_a_lost_answer_is_waited_for(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.extend([CutError("cut"), UnreachableError("refused"), UnreachableError("refused")])
    await client_to(server).start("csv_import", json={})
    assert len(server.jobs) == 1


async def test_a_server_that_was_never_reached_is_an_error_at_once(client_to: MakeClient, clock: InstantClock) -> None:
    server = FakeServer()
    server.reachable = False
    with pytest.raises(ConnectionLostError, match="cannot be reached") as lost:
        await client_to(server).start("csv_import", json={})
    assert (clock.waits, lost.value.idempotency_key) == ([], None)
    assert "job" not in lost.value.user_message, "there is none"


async def test_too_many_jobs_say_when_to_come_back(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.append(problem(ShelfwireError(Code.OVERLOADED), retry_after=17))
    with pytest.raises(RefusedError) as refused:
        await client_to(server).start("csv_import", json={})
    assert (refused.value.retry_after, len(server.requests)) == (17, 1)


@pytest.mark.parametrize(
    ("header", "seconds"), [("", None), ("Wed, 21 Oct 2026", None), ("-1", None), ("9" * 30, 86400)]
)
async def test_a_wild_retry_after_does_no_harm(client_to: MakeClient, header: str, seconds: int | None) -> None:
    server = FakeServer()
    server.will.append(Response(429, {"retry-after": header}, b""))
    with pytest.raises(RefusedError) as refused:
        await client_to(server).start("csv_import", json={})
    assert refused.value.retry_after == seconds


async def test_a_moved_server_is_an_error_and_no_answer(client_to: MakeClient) -> None:
    server = FakeServer()
    server.will.append(Response(301, {"location": "https://elsewhere"}, b""))
    with pytest.raises(RefusedError, match="301"):
        await client_to(server).start("csv_import", json={})


async def test_the_api_key_goes_only_where_jobs_are_made(client_to: MakeClient) -> None:
    server = FakeServer(Start(1), Record("Dune", error=BookCode.ROW_INVALID), Complete())
    client = client_to(server, api_key="key")
    job = await client.start("csv_import", json={})
    await client.follow(job).run()
    await client.state(job)
    await client.retry(job)
    sent = [request.headers.get("X-API-Key") for request in server.requests]
    assert sent == ["key", None, None, "key"]


async def test_files_and_a_chosen_id_go_out_as_a_form(client_to: MakeClient, tmp_path: Path) -> None:
    server = FakeServer(creation_paths={"/api/books": "csv_import"})
    client = client_to(server)
    path = tmp_path / "books.csv"
    mine = [str(uuid.uuid4()) for _ in range(3)]
    one = await client.create(
        "/api/books", files=[("file", path)], fields={"mode": "new"}, params={"enrich": "true"}, job_id=mine[0]
    )
    two = await client.start("ai_scan", file=Upload("shelf.png", b"..."), files={"more": path}, job_id=mine[1])
    three = await client.start("csv_import", json={"books": []}, job_id=mine[2])
    assert [one.job_id, two.job_id, three.job_id] == mine
    forms = [(request.path, dict(request.files), dict(request.fields), request.json) for request in server.requests]
    assert forms == [
        ("/api/books", {"file": path}, {"mode": "new", "jobId": mine[0]}, None),
        (
            "/api/pipelines/ai_scan/jobs",
            {"file": Upload("shelf.png", b"..."), "more": path},
            {"jobId": mine[1]},
            None,
        ),
        ("/api/pipelines/csv_import/jobs", {}, {}, {"books": [], "jobId": mine[2]}),
    ]
    assert [dict(request.params) for request in server.requests] == [{"enrich": "true"}, {}, {}]
    with pytest.raises(RefusedError) as refused:
        await client.start("csv_import", json={}, job_id=mine[0])
    assert refused.value.code == Code.JOB_EXISTS


async def test_a_file_may_be_named_by_a_text(client_to: MakeClient, tmp_path: Path) -> None:
    server = FakeServer(creation_paths={"/api/books": "csv_import"})
    client = client_to(server)
    path = tmp_path / "books.csv"
    await client.create("/api/books", files=[("file", str(path))])
    await client.start("csv_import", file=str(path))
    assert [request.files[0][1] for request in server.requests] == [path] * 2


async def test_an_input_that_would_not_arrive_is_refused_before_it_is_sent(client_to: MakeClient) -> None:
    server = FakeServer()
    client = client_to(server)
    with pytest.raises(ValueError, match="not both"):
        await client.start("csv_import", file=Upload("a.csv", b"Title\nEmma\n"), json={"books": []})
    with pytest.raises(ValueError, match="not both"):
        await client.create("/api/books", fields={"mode": "new"}, json={"books": []})
    for json in (None, [1]):
        with pytest.raises(ValueError, match="an object"):
            await client.start("csv_import", json=json, job_id=str(uuid.uuid4()))
    assert server.requests == []


@pytest.mark.parametrize("secret", ["s3cret\n", " s3cret", "s3cret\x00", "s3crét", ""])
async def test_a_secret_that_cannot_be_one_is_refused_and_not_repeated(client_to: MakeClient, secret: str) -> None:
    server = FakeServer()
    job = JobHandle(server.add().job_id, secret)
    client = client_to(server)
    calls: dict[str, list[Awaitable[Any]]] = {
        "token": [client.state(job), client.follow(job).run(), client.retry(job)],
        "idempotency key": [client.start("csv_import", json={}, idempotency_key=secret)] if secret else [],
    }
    for what, attempts in calls.items():
        for attempt in attempts:
            with pytest.raises(ValueError, match=what) as refused:
                await attempt
            assert "s3cr" not in str(refused.value)
    with pytest.raises(ValueError, match="API key") as refused:
        client_to(server, api_key=secret)
    assert "s3cr" not in str(refused.value)


async def test_an_id_from_elsewhere_leads_to_no_other_route(client_to: MakeClient) -> None:
    server = FakeServer()
    job, client = JobHandle("../../health/live?a=b", "a-token"), client_to(server)
    await client.start("../x?c=d", json={})
    for attempt in (client.state(job), client.retry(job)):
        with pytest.raises(RefusedError):
            await attempt
    with pytest.raises(RefusedError):
        await client_to(server, transports=("sse",)).follow(job).run()
    assert [request.path.count("/") for request in server.requests] == [4, 3, 4, 4]
    assert not any("?" in request.path for request in server.requests)


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"{}",
        b'{"jobId": "x"}',
        b'{"jobId": 5, "token": "s3cret"}',
        b'{"jobId": "x", "token": "s3cret\\n"}',
        b'{"jobId": "x", "token": "s3cret", "tokenExpiresAt": "soon", "expiresAt": "soon"}',
    ],
)
async def test_an_answer_without_a_job_is_an_error_of_the_clients_own(client_to: MakeClient, data: bytes) -> None:
    server = FakeServer()
    client = client_to(server)
    server.will.append(Response(202, {}, b'{"data": %s}' % data))
    with pytest.raises(RefusedError, match="not a shelfwire server") as refused:
        await client.start("csv_import", json={})
    assert "s3cret" not in repr(refused.value)
    job = server.add()
    if b"5" not in data:  # a token is requested by the job's id, which the answer need not repeat
        server.will.append(Response(200, {}, b'{"data": %s}' % data))
        with pytest.raises(RefusedError, match="not a shelfwire server"):
            await client.rotate(job)


async def test_results_are_read_and_exported_over_all_pages(client_to: MakeClient) -> None:
    server = FakeServer(Start(2500), *(Record(f"Book {n}") for n in range(2500)), Complete())
    client = client_to(server)
    job = await client.start("csv_import", json={})
    await client.follow(job).run()
    titles = [f"Book {n}" for n in range(2500)]
    assert [item["title"] async for item in client.results(job)] == titles
    table = b"".join([part async for part in client.export(job)]).decode().splitlines()
    assert table == ["index,ok,title", *(f"{n},true,{title}" for n, title in enumerate(titles))]
    lines = b"".join([part async for part in client.export(job, kind="ndjson")]).splitlines()
    assert len(lines) == 2500


async def test_an_export_that_is_refused_is_an_error_and_no_file(client_to: MakeClient) -> None:
    server = FakeServer()
    job = server.add()
    with pytest.raises(RefusedError):
        await anext(client_to(server).export(JobHandle(job.job_id, "wrong")))


def test_a_reference_to_a_job_does_not_show_its_token() -> None:
    assert "secret" not in f"{JobHandle('a-job', 'secret')} {JobHandle('a-job', 'secret')!r}"
