import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.errors import Code
from shelfwire.jobs import attempt_files
from shelfwire.settings import Secret
from shelfwire.web.keys import Key, Role, changing_keys, digest_of, new_key
from tests.live import MakeServer, Server, bearer, until
from tests.web.remote_work import PIPELINE, Attempt, done, submit
from tests.web.test_http import assert_problem

OTHER = "video_cut"


async def claim(server: Server, **wanted: Any) -> httpx2.Response:
    return await server.http.post("/api/work/claim", json={"pipelines": [PIPELINE], **wanted})


def waiting(server: Server) -> int:
    return len(server.app.service.claims.waiters)


async def hang_up(server: Server, **wanted: Any) -> None:
    """Ask for a job, and hang up once the server waits for one."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"pipelines": [PIPELINE], "wait": 30, **wanted}).encode()
    writer.write(
        f"POST /api/work/claim HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    await writer.drain()
    before = waiting(server)
    await until(lambda: waiting(server) > before)
    writer.close()
    await writer.wait_closed()


async def test_a_waiting_job_is_claimed_with_its_inputs_and_by_one_worker(make_server: MakeServer) -> None:
    async with make_server() as server:
        assert (await claim(server)).status_code == 204
        job = await submit(server, b"%PDF-1.7")
        answers = await asyncio.gather(*(claim(server, worker="w", leaseSeconds=60) for _ in range(5)))
        (claimed,) = (answer.json()["data"] for answer in answers if answer.status_code == 200)
        state = await server.state(job)
    assert sorted(answer.status_code for answer in answers) == [200, 204, 204, 204, 204]
    assert {answer.headers["cache-control"] for answer in answers if answer.status_code == 200} == {"no-store"}
    assert claimed["state"]["jobId"] == job["jobId"]
    assert claimed["leaseSeconds"] == 60
    (file,) = claimed["inputs"]
    assert (file["name"], file["size"]) == ("file", 8)
    assert (state["status"], state["attempt"]) == ("running", 1)


async def test_pipelines_take_turns_and_in_each_the_longest_waiting_job_comes_first(make_server: MakeServer) -> None:
    async with make_server() as server:
        first, second, third, last = [
            (await submit(server, pipeline=pipeline))["jobId"] for pipeline in (OTHER, OTHER, PIPELINE, PIPELINE)
        ]
        claimed = [await Attempt.claim(server, pipelines=[PIPELINE, OTHER, PIPELINE]) for _ in range(4)]
    assert [attempt.job_id for attempt in claimed] == [third, first, last, second]


async def test_a_claim_waits_for_a_job_that_is_made_meanwhile(make_server: MakeServer) -> None:
    async with make_server() as server:
        claims = [asyncio.create_task(claim(server, wait=30)) for _ in range(3)]
        await until(lambda: waiting(server) == 3)
        jobs = [await submit(server) for _ in claims]
        answers = await asyncio.gather(*claims)
    claimed = {answer.json()["data"]["state"]["jobId"] for answer in answers}
    assert claimed == {job["jobId"] for job in jobs}


async def test_a_claim_waits_for_a_job_that_is_let_go(make_server: MakeServer) -> None:
    async with make_server() as server:
        first = await Attempt.create(server, totalCount=2)
        waits = [
            asyncio.create_task(claim(server, wait=30)),
            asyncio.create_task(claim(server, pipelines=None, jobId=first.job_id)),
        ]
        assert (await waits[1]).status_code == 204, "another holds it"
        await until(lambda: waiting(server) == 1)
        await first.report(number=1, items=done(0), end={"release": {}})
        second = (await waits[0]).json()["data"]
    assert (second["state"]["jobId"], second["attempt"], second["recorded"]) == (first.job_id, 2, [[0, 0]])


async def test_a_paused_job_is_given_to_a_waiting_worker_once_it_is_resumed(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await submit(server)
        await server.ask("POST", job, "/pause")
        assert_problem(await claim(server, pipelines=None, jobId=job["jobId"]), 409, Code.JOB_STATE)
        claiming = asyncio.create_task(claim(server, wait=30))
        await until(lambda: waiting(server) == 1)
        await server.ask("POST", job, "/resume")
        assert (await claiming).status_code == 200


async def test_a_certain_job_is_claimed_by_its_id(make_server: MakeServer) -> None:
    async with make_server() as server:
        await submit(server)
        job = await submit(server)
        attempt = await Attempt.claim(server, pipelines=None, jobId=job["jobId"].upper())
        assert attempt.job_id == job["jobId"]
        await attempt.report(number=1, end={"complete": {}})
        assert_problem(await claim(server, pipelines=None, jobId=job["jobId"]), 409, Code.JOB_STATE)
        books = (await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")})).json()
        inside = await claim(server, pipelines=None, jobId=books["data"]["jobId"])
        assert_problem(inside, 409, Code.PIPELINE_INTERNAL)
        unknown = "0f8fad5b-d9cb-469f-a165-70867728950e"
        assert_problem(await claim(server, pipelines=None, jobId=unknown), 404, Code.NOT_FOUND)


async def test_a_retry_of_a_remote_job_covers_what_was_left_by_the_indices_of_the_input(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        first = await Attempt.create(server, totalCount=6)
        error = {"code": "E_PAGE_BLANK", "userMessage": "This page is blank."}
        items = [*done(0, 3), {"index": 4, "ok": False, "error": error}]
        await first.report(number=1, items=items, end={"complete": {}})
        owner = {"jobId": first.job_id, "token": first.owner}
        waits = asyncio.create_task(claim(server, wait=30))
        await until(lambda: waiting(server) == 1)
        retry = (await server.ask("POST", owner, "/retry")).json()["data"]
        data = (await waits).json()["data"]
        second = Attempt(server, retry["jobId"], data["reportToken"], data, retry["token"])
        assert (data["state"]["jobId"], data["selection"]) == (retry["jobId"], [[1, 2], [4, 5]])
        assert_problem(await second.refused(number=1, items=done(3)), 422, Code.ITEM_UNKNOWN)
        await second.report(number=1, totalCount=6, items=done(4))
        await second.report(number=2, end={"release": {}})
        third = await Attempt.claim(server)
        assert third.data["recorded"] == [[4, 4]]
        answer = await third.report(number=1, items=done(1, 2, 4, 5), end={"complete": {}})
        page = (await server.ask("GET", retry, "/results")).json()["data"]
        assert (await server.state(retry))["totalCount"] == 4
    assert answer["repeated"] == [4]
    assert [(item["index"], item["sourceIndex"]) for item in page["items"]] == [(0, 1), (1, 2), (2, 4), (3, 5)]


async def test_a_client_that_hangs_up_while_it_waits_is_given_nothing(make_server: MakeServer) -> None:
    async with make_server() as server:
        await hang_up(server)
        await until(lambda: waiting(server) == 0)
        job = await submit(server)
        assert (await server.state(job))["status"] == "queued"
        patient = await Attempt.claim(server)
    assert (patient.job_id, patient.data["attempt"]) == (job["jobId"], 1)


async def test_jobs_are_in_good_hands_however_many_hang_up_while_they_are_claimed(make_server: MakeServer) -> None:
    async with make_server() as server:
        claims = [asyncio.create_task(hang_up(server)) for _ in range(10)]
        jobs = [await submit(server) for _ in range(5)]
        await asyncio.gather(*claims)
        attempts = [await Attempt.claim(server, wait=30) for _ in jobs]
        for attempt in attempts:
            answer = await attempt.report(number=1, items=done(0), end={"complete": {}})
            assert answer["status"] == "complete"
    assert {attempt.job_id for attempt in attempts} == {job["jobId"] for job in jobs}


async def test_a_server_that_leaves_answers_whoever_waits(make_server: MakeServer) -> None:
    async with make_server() as server:
        claims = [asyncio.create_task(claim(server, wait=30)) for _ in range(3)]
        await until(lambda: waiting(server) == 3)
        await claim(server, wait=0)  # The store takes one after the other: now they have looked, and found nothing.
        server.app.service.dismiss_followers()
        for answer in await asyncio.gather(
            *claims, claim(server, pipelines=None, jobId=(await submit(server))["jobId"])
        ):
            assert_problem(answer, 503, Code.OVERLOADED)
            assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"pipelines": ["csv_import"]}, 409, Code.PIPELINE_INTERNAL),
        ({"pipelines": [PIPELINE, "ai_scan"]}, 409, Code.PIPELINE_INTERNAL),
        ({"pipelines": []}, 400, Code.INVALID_REQUEST),
        ({"pipelines": [f"p{number}" for number in range(101)]}, 400, Code.INVALID_REQUEST),
        ({"pipelines": ["Not a name"]}, 400, Code.INVALID_REQUEST),
        ({"pipelines": [f"{PIPELINE}\n"]}, 400, Code.INVALID_REQUEST),
        ({"pipelines": None}, 400, Code.INVALID_REQUEST),
        ({"jobId": "0f8fad5b-d9cb-469f-a165-70867728950e"}, 400, Code.INVALID_REQUEST),
        ({"pipelines": None, "jobId": "no UUID"}, 400, Code.INVALID_REQUEST),
        ({"wait": 31}, 400, Code.INVALID_REQUEST),
        ({"leaseSeconds": 0}, 400, Code.INVALID_REQUEST),
        ({"leaseSeconds": 1.5}, 400, Code.INVALID_REQUEST),
        ({"worker": "x" * 101}, 400, Code.INVALID_REQUEST),
        ({"worker": "x" * 70_000}, 413, Code.FILE_TOO_LARGE),
    ],
)
async def test_a_claim_that_cannot_be_is_refused_and_takes_nothing(
    make_server: MakeServer, wanted: dict[str, Any], status: int, code: Code
) -> None:
    async with make_server() as server:
        job = await submit(server)
        assert_problem(await claim(server, **wanted), status, code)
        assert (await server.state(job))["status"] == "queued"


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"pipeline": "csv_import"}, 409, Code.PIPELINE_INTERNAL),
        ({"pipeline": "Not a name"}, 400, Code.INVALID_REQUEST),
        ({"pipeline": f"{PIPELINE}\n"}, 400, Code.INVALID_REQUEST),
        ({"totalCount": 1_000_001}, 400, Code.INVALID_REQUEST),
        ({"metadata": {"fileSize": 2**64}}, 422, Code.REPORT_INVALID),
        ({"jobId": "no UUID"}, 400, Code.INVALID_REQUEST),
        ({"tags": ["Upper"]}, 400, Code.INVALID_REQUEST),
        ({"tags": ["user:17\n"]}, 400, Code.INVALID_REQUEST),
        ({"tags": ["a"] * 11}, 400, Code.INVALID_REQUEST),
        ({"callbackUrl": "https://example.com/done"}, 422, Code.CALLBACK_REFUSED),
    ],
)
async def test_a_job_that_cannot_be_is_not_created(
    make_server: MakeServer, wanted: dict[str, Any], status: int, code: Code
) -> None:
    async with make_server() as server:
        answer = await server.http.post("/api/jobs", json={"pipeline": PIPELINE, **wanted})
        assert_problem(answer, status, code)
        assert dict((await server.app.service._store.counts(0)).jobs) == {}


async def test_a_job_whose_creation_was_answered_to_nobody_is_claimed_by_its_id(make_server: MakeServer) -> None:
    job_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    async with make_server() as server:
        lost = await Attempt.create(server, jobId=job_id, totalCount=1)
        again = await server.http.post("/api/jobs", json={"pipeline": PIPELINE, "jobId": job_id})
        assert_problem(again, 409, Code.JOB_EXISTS)
        claiming = asyncio.create_task(claim(server, pipelines=None, jobId=job_id, wait=30))
        await lost.report(number=1, end={"release": {}})
        assert (await claiming).json()["data"]["attempt"] == 2


async def test_an_input_is_read_in_whole_and_in_parts(make_server: MakeServer) -> None:
    async with make_server() as server:
        await server.http.post(f"/api/pipelines/{PIPELINE}/jobs", files={"a/b c": ("x", b"0123456789")})
        attempt = await Attempt.claim(server)
        (file,) = attempt.data["inputs"]
        below = file["url"].removeprefix(f"/api/jobs/{attempt.job_id}")
        whole = await attempt.ask("GET", below)
        parts = {
            given: await attempt.ask("GET", below, headers={"Range": given})
            for given in ("bytes=2-4", "bytes=7-", "bytes=-3", "bytes=0-99", "bytes=10-", "bytes=-0", "bytes=1-2,4-5")
        }
        tag = whole.headers["etag"]
        known = await attempt.ask("GET", below, headers={"If-None-Match": tag})
        same = await attempt.ask("GET", below, headers={"Range": "bytes=0-0", "If-Range": tag})
        changed = await attempt.ask("GET", below, headers={"Range": "bytes=0-0", "If-Range": '"other"'})
        assert_problem(await attempt.ask("GET", "/inputs/other"), 404, Code.NOT_FOUND)
        assert_problem(await attempt.ask("GET", "/inputs/%00kept:x"), 404, Code.NOT_FOUND)
    assert (whole.content, whole.headers["content-type"]) == (b"0123456789", "application/octet-stream")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert {given: (part.status_code, part.content) for given, part in parts.items()} == {
        "bytes=2-4": (206, b"234"),
        "bytes=7-": (206, b"789"),
        "bytes=-3": (206, b"789"),
        "bytes=0-99": (206, b"0123456789"),
        "bytes=10-": (416, b""),
        "bytes=-0": (416, b""),
        "bytes=1-2,4-5": (200, b"0123456789"),
    }
    assert parts["bytes=2-4"].headers["content-range"] == "bytes 2-4/10"
    assert parts["bytes=10-"].headers["content-range"] == "bytes */10"
    assert (known.status_code, same.status_code, changed.status_code) == (304, 206, 200)


async def test_what_an_attempt_keeps_is_found_by_the_next_one(make_server: MakeServer) -> None:
    name = "/kept/https%3A%2F%2Fexample.com%2F%2Fa"
    async with make_server() as server:
        first = await Attempt.create(server, totalCount=1)
        assert_problem(await first.ask("GET", name), 404, Code.NOT_FOUND)
        assert (await first.ask("PUT", name, content=b"\x00\xff")).status_code == 204
        assert_problem(await first.ask("PUT", "/kept/big", content=b"x" * (2**20 + 1)), 413, Code.FILE_TOO_LARGE)
        assert_problem(await first.ask("PUT", "/kept/" + "x" * 201, content=b"x"), 400, Code.INVALID_REQUEST)
        await first.report(number=1, end={"release": {}})
        second = await Attempt.claim(server)
        kept = await second.ask("GET", name)
        assert_problem(await second.ask("GET", "/kept/big"), 404, Code.NOT_FOUND)
    assert (kept.content, kept.headers["x-content-type-options"]) == (b"\x00\xff", "nosniff")


async def test_what_a_job_keeps_is_bounded_and_an_attempt_that_lost_it_keeps_nothing(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_files, "MAX_KEPT_OF_JOB", 10)
    async with make_server() as server:
        first = await Attempt.create(server, totalCount=1)
        assert (await first.ask("PUT", "/kept/a", content=b"12345678")).status_code == 204
        assert_problem(await first.ask("PUT", "/kept/b", content=b"12345678"), 413, Code.FILE_TOO_LARGE)
        await first.report(number=1, end={"release": {}})
        second = await Attempt.claim(server)
        assert_problem(await first.ask("PUT", "/kept/a", content=b"late"), 409, Code.LEASE_LOST)
        assert (await second.ask("GET", "/kept/a")).content == b"12345678"
        assert_problem(await second.ask("GET", "/kept/b"), 404, Code.NOT_FOUND)


async def test_a_log_is_paged_with_its_gaps(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=10)
        await attempt.report(number=1, items=done(0, 4, 9))
        assert attempt.data["links"]["log"] == f"/api/jobs/{attempt.job_id}/log"
        pages = []
        after = "-1"
        while after is not None:
            page = (await attempt.ask("GET", f"/log?limit=2&after={after}")).json()["data"]
            pages.append([item["index"] for item in page["items"]])
            after = page["next"]
    assert (pages, page["total"]) == ([[0, 4], [9]], 3)


def write_keys(folder: Path, **keys: Key) -> None:
    with changing_keys(folder / "keys.toml") as stored:
        stored.update(keys)


def a_key(role: Role, **more: Any) -> tuple[str, Key]:
    key = new_key(role, os.urandom(32))
    return key, Key(role=role, digest=digest_of(key), **more)


async def test_roles_decide_who_may_create_and_who_may_work(make_server: MakeServer, tmp_path: Path) -> None:
    made = {role: a_key(role) for role in Role}
    write_keys(tmp_path / "data", **{role.value.replace(":", "-"): key for role, (_, key) in made.items()})
    plain = "a-plain-key-of-the-server"
    async with make_server(api_keys=(Secret(plain),), remote_pipelines=(PIPELINE,)) as server:

        async def statuses(key: str) -> list[int]:
            headers = {"X-API-Key": key} if key else {}
            asked = [
                await server.http.post(f"/api/pipelines/{PIPELINE}/jobs", json={}, headers=headers),
                await server.http.post("/api/jobs", json={"pipeline": PIPELINE}, headers=headers),
                await server.http.post("/api/work/claim", json={"pipelines": [OTHER]}, headers=headers),
            ]
            return [answer.status_code for answer in asked]

        assert await statuses("") == [401, 401, 401]
        assert await statuses("sw_work_wrong") == [401, 401, 401]
        assert await statuses(plain) == [202, 403, 403]
        assert await statuses(made[Role.CREATE][0]) == [202, 403, 403]
        assert await statuses(made[Role.WORK][0]) == [202, 202, 204]
        assert await statuses(made[Role.READ][0]) == [403, 403, 403]
        assert await statuses(made[Role.ADMIN][0]) == [202, 202, 204]


async def test_a_workers_key_and_the_tokens_of_its_job_are_not_taken_for_each_other(
    make_server: MakeServer, tmp_path: Path
) -> None:
    key, stored = a_key(Role.WORK)
    write_keys(tmp_path / "data", mine=stored)
    async with make_server(remote_pipelines=(PIPELINE,)) as server:
        made = await server.http.post("/api/jobs", json={"pipeline": PIPELINE}, headers={"X-API-Key": key})
        data = made.json()["data"]
        job = Attempt(server, data["jobId"], data["reportToken"], data, data["token"])
        before = await job.state()
        for token in (job.token, job.owner):
            for headers in ({"X-API-Key": token}, bearer(token)):
                wanted = {"pipelines": [PIPELINE]}
                claimed = await server.http.post("/api/work/claim", json=wanted, headers=headers)
                created = await server.http.post("/api/jobs", json={"pipeline": PIPELINE}, headers=headers)
                for refused in (claimed, created):
                    assert_problem(refused, 401, Code.UNAUTHORIZED)
        for method, below in [
            *(
                ("GET", ""),
                ("GET", "/results"),
                ("GET", "/events"),
                ("POST", "/cancel"),
                ("DELETE", ""),
                ("POST", "/token"),
            ),
            *(("GET", "/log"), ("GET", "/kept/a"), ("PUT", "/kept/a"), ("GET", "/inputs/file"), ("POST", "/report")),
        ]:
            path = f"/api/jobs/{job.job_id}{below}"
            for headers in ({"X-API-Key": key}, bearer(key), bearer(key) | {"X-API-Key": key}):
                assert_problem(await server.http.request(method, path, headers=headers), 401, Code.UNAUTHORIZED)
        assert await job.state() == before
        await job.report(number=1, totalCount=1, items=done(0), end={"complete": {}})


async def test_a_key_may_be_for_certain_pipelines_and_have_a_limit_of_its_own(
    make_server: MakeServer, tmp_path: Path
) -> None:
    key, stored = a_key(Role.WORK, pipelines=(PIPELINE,), create_limit=2)
    write_keys(tmp_path / "data", mine=stored)
    async with make_server(create_limit=1, remote_pipelines=(PIPELINE, OTHER)) as server:
        server.http.headers["X-API-Key"] = key
        foreign = await server.http.post("/api/jobs", json={"pipeline": OTHER})
        for refused in (
            foreign,
            await claim(server, pipelines=[PIPELINE, OTHER]),
            await server.http.post(f"/api/pipelines/{OTHER}/jobs", json={}),
            await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")}),
        ):
            assert_problem(refused, 403, Code.FORBIDDEN)
        assert (await claim(server)).status_code == 204
        made = [await server.http.post("/api/jobs", json={"pipeline": PIPELINE}) for _ in range(3)]
    assert [answer.status_code for answer in made] == [202, 202, 429]


async def test_keys_are_read_again_when_the_file_changes_and_one_that_is_broken_opens_nothing(
    make_server: MakeServer, tmp_path: Path
) -> None:
    first, stored = a_key(Role.WORK)
    second, other = a_key(Role.WORK)
    async with make_server() as server:

        async def status(key: str) -> int:
            server.app._context.access._file._checked_at = -1e9  # as after a second
            answer = await server.http.post(
                "/api/work/claim", json={"pipelines": [PIPELINE]}, headers={"X-API-Key": key}
            )
            return answer.status_code

        assert await status("none") == 204, "without any key, this machine may work"
        write_keys(tmp_path / "data", first=stored)
        assert [await status(key) for key in (first, second, "none")] == [204, 401, 401]
        with changing_keys(tmp_path / "data" / "keys.toml") as keys:
            del keys["first"]
            keys["second"] = other
        assert [await status(key) for key in (first, second)] == [401, 204]
        for broken in ("not TOML", "a = " + "[" * 5000):
            (tmp_path / "data" / "keys.toml").write_text(broken)
            assert [await status(key) for key in (first, second)] == [401, 204], "it stays as it was"
        (tmp_path / "data" / "keys.toml").unlink()
        assert [await status(key) for key in (second, "none")] == [401, 401], "it does not open the server"


async def test_a_key_that_is_revoked_while_its_holder_waits_is_given_no_job(
    make_server: MakeServer, tmp_path: Path
) -> None:
    revoked, stored = a_key(Role.WORK)
    valid, other = a_key(Role.WORK)
    write_keys(tmp_path / "data", revoked=stored, valid=other)
    async with make_server() as server:
        mine = {"X-API-Key": valid}
        made = (await server.http.post("/api/jobs", json={"pipeline": PIPELINE}, headers=mine)).json()["data"]
        waits = asyncio.create_task(
            server.http.post(
                "/api/work/claim", json={"wait": 30, "pipelines": [PIPELINE]}, headers={"X-API-Key": revoked}
            )
        )
        await until(lambda: waiting(server) > 0)
        with changing_keys(tmp_path / "data" / "keys.toml") as keys:
            del keys["revoked"]
        server.app._context.access._file._checked_at = -1e9  # as after a second
        attempt = Attempt(server, made["jobId"], made["reportToken"], made)
        await attempt.report(number=1, end={"release": {}})
        assert_problem(await waits, 401, Code.UNAUTHORIZED)
        assert (await server.state(made))["status"] == "queued"


async def test_behind_a_proxy_of_the_same_machine_nobody_works_without_a_key(make_server: MakeServer) -> None:
    async with make_server() as server:
        for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"):
            answer = await server.http.post(
                "/api/work/claim", json={"pipelines": [PIPELINE]}, headers={header: "203.0.113.7"}
            )
            assert_problem(answer, 401, Code.UNAUTHORIZED)


async def test_jobs_of_pipelines_that_nobody_has_named_are_for_this_machine_alone(make_server: MakeServer) -> None:
    async def statuses(server: Server, **headers: str) -> list[int]:
        paths = [f"/api/pipelines/{pipeline}/jobs" for pipeline in (PIPELINE, OTHER)]
        return [(await server.http.post(path, json={}, headers=headers)).status_code for path in paths]

    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    async with make_server() as server:
        assert await statuses(server) == [202, 202]
        assert await statuses(server, **elsewhere) == [404, 404]
    async with make_server(remote_pipelines=(PIPELINE,)) as server:
        assert await statuses(server) == [202, 404]
        assert await statuses(server, **elsewhere) == [202, 404]
    async with make_server(remote_pipelines=("*",)) as server:
        assert await statuses(server, **elsewhere) == [202, 202]


async def test_a_foreign_website_cannot_work(make_server: MakeServer) -> None:
    async with make_server() as server:
        for path in ("/api/jobs", "/api/work/claim"):
            answer = await server.http.post(path, json={}, headers={"Origin": "https://evil.example"})
            assert_problem(answer, 403, Code.FORBIDDEN)


async def test_the_state_shows_neither_the_report_token_nor_the_name_of_the_worker(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        state = await server.http.get(f"/api/jobs/{attempt.job_id}", headers=bearer(attempt.owner))
    assert attempt.token not in state.text
    assert "worker" not in state.json()["data"]
