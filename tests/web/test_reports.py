import asyncio
import json
from typing import Any

import pytest

from shelfwire.errors import Code
from shelfwire.protocol.reports import RESERVED_CODES
from tests.live import MakeServer, bearer
from tests.web.remote_work import Attempt, done, failed
from tests.web.test_http import assert_problem

MESSAGE = {"code": "E_MINE", "userMessage": "It went wrong."}


async def known(attempt: Attempt) -> tuple[Any, ...]:
    """Everything about a job that a report could change."""
    state = await attempt.state()
    return state, await attempt.log()


async def test_a_job_is_created_reported_and_completed_by_its_worker(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=3, metadata={"fileName": "a.pdf"}, worker="a worker")
        assert (attempt.data["recorded"], attempt.data["selection"], attempt.data["inputs"]) == ([], None, [])
        assert (attempt.data["attempt"], attempt.data["leaseSeconds"]) == (1, 10)
        first = await attempt.report(number=1, items=[*done(0, 2), failed(1)])
        assert (first["status"], first["number"], first["stop"]) == ("running", 1, None)
        assert "repeated" not in first
        last = await attempt.report(number=2, end={"complete": {"summary": "Three pages"}})
        state = await attempt.state()
    assert (last["status"], last["seq"]) == ("complete", state["seq"])
    assert (state["successCount"], state["failureCount"], state["totalCount"]) == (2, 1, 3)
    assert (state["summary"], state["metadata"]) == ("Three pages", {"fileName": "a.pdf"})
    assert state["results"]["items"] == [{"page": 0}, {"page": 2}]
    assert [error["code"] for error in state["results"]["errors"]] == ["E_PAGE_BLANK"]


async def test_followers_see_a_remote_job_as_any_other(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        async with server.socket({"jobId": attempt.job_id, "token": attempt.owner}) as socket:
            await attempt.report(number=1, items=done(0), userMessage="Half")
            await attempt.report(number=2, items=done(1), end={"complete": {}})
            messages = [json.loads(text) async for text in socket]
    assert [messages[0]["type"], messages[-1]["type"]] == ["job_started", "job_complete"]
    assert socket.close_reason == "Job completed"
    counts = [message["payload"]["processedCount"] for message in messages if message["type"] == "job_progress"]
    assert counts == sorted(counts)
    assert messages[-1]["payload"]["results"]["items"] == [{"page": 0}, {"page": 1}]


async def test_a_report_that_is_sent_again_is_answered_again_and_changes_nothing(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        body = json.dumps({"number": 1, "items": done(0)}).encode()
        first, again = [(await attempt.send(body)).json()["data"] for _ in range(2)]
        second = json.dumps({"number": 2, "items": done(1)}).encode()
        together = await asyncio.gather(attempt.send(second), attempt.send(second), attempt.send(second))
        assert (first["seq"], first["number"]) == (again["seq"], again["number"])
        assert "repeated" not in again
        assert [answer.status_code for answer in together] == [200, 200, 200]
        assert [item["index"] for item in await attempt.log()] == [0, 1]


async def test_the_last_report_is_answered_again_after_the_job_has_ended(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        body = json.dumps({"number": 1, "items": done(0), "end": {"complete": {}}}).encode()
        first, again = [(await attempt.send(body)).json()["data"] for _ in range(2)]
        assert (first["status"], again["status"], first["seq"]) == ("complete", "complete", again["seq"])
        later = await attempt.refused(number=2, items=done(0))
        heartbeat = await attempt.refused()
    for answer in (later, heartbeat):
        assert_problem(answer, 409, Code.LEASE_LOST)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"number": 1, "items": done(1)}, 2),
        ({"number": 3, "items": done(1)}, 2),
        ({"items": done(1)}, 2),
    ],
)
async def test_another_number_or_another_content_of_the_same_number_is_refused_and_changes_nothing(
    make_server: MakeServer, body: dict[str, Any], expected: int
) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        await attempt.report(number=1, items=done(0))
        before = await known(attempt)
        problem = assert_problem(await attempt.refused(**body), 409, Code.REPORT_NUMBER)
        assert problem["details"] == {"expected": expected}
        assert await known(attempt) == before
        await attempt.report(number=2, items=done(1))


BROKEN: dict[str, tuple[Any, int, Code]] = {
    "no JSON": (b"{", 400, Code.INVALID_REQUEST),
    "nothing": (b"", 400, Code.INVALID_REQUEST),
    "a list": (b"[]", 400, Code.INVALID_REQUEST),
    "invalid UTF-8 in a result": (
        b'{"number":1,"items":[{"index":0,"ok":true,"result":"\xff"}]}',
        400,
        Code.INVALID_REQUEST,
    ),
    "a lone surrogate": (rb'{"number":1,"items":[{"index":0,"ok":true,"result":"\ud800"}]}', 400, Code.INVALID_REQUEST),
    "too deep to be read": (b'{"number":1,"metadata":' + b"[" * 100_000, 400, Code.INVALID_REQUEST),
    "an unknown index": ({"items": done(0, 2)}, 422, Code.ITEM_UNKNOWN),
    "a negative index": ({"items": done(-1)}, 422, Code.ITEM_UNKNOWN),
    "an index beyond 64 bits": ({"items": done(2**70)}, 422, Code.ITEM_UNKNOWN),
    "an index that is no number": ({"items": [{"index": "0", "ok": True, "result": 1}]}, 400, Code.INVALID_REQUEST),
    "a done item without a result": ({"items": [{"index": 0, "ok": True}]}, 400, Code.INVALID_REQUEST),
    "a failed item without an error": ({"items": [{"index": 0, "ok": False}]}, 400, Code.INVALID_REQUEST),
    "an item that says neither": ({"items": [{"index": 0, "result": 1}]}, 400, Code.INVALID_REQUEST),
    "too many items": ({"items": [*done(0)] * 1001}, 400, Code.INVALID_REQUEST),
    "a code of no form": ({"items": [failed(0, "blank")]}, 422, Code.REPORT_INVALID),
    "a code with a line end": ({"items": [failed(0, "E_BLANK\n")]}, 422, Code.REPORT_INVALID),
    "a code that is too long": ({"items": [failed(0, "E_" + "A" * 61)]}, 422, Code.REPORT_INVALID),
    "a total that is too large": ({"totalCount": 1_000_001}, 400, Code.INVALID_REQUEST),
    "a negative total": ({"totalCount": -1}, 400, Code.INVALID_REQUEST),
    "metadata beyond 64 bits": ({"metadata": {"fileSize": 2**64}}, 422, Code.REPORT_INVALID),
    "a fraction above 1": ({"fraction": 1.01}, 400, Code.INVALID_REQUEST),
    "two ways to say how much": ({"fraction": 0.5, "processedCount": 1}, 422, Code.REPORT_INVALID),
    "no way to end": ({"end": {}}, 400, Code.INVALID_REQUEST),
    "two ways to end": ({"end": {"release": {}, "complete": {}}}, 400, Code.INVALID_REQUEST),
    "a failure without a message": ({"end": {"fail": {"code": "E_MINE"}}}, 400, Code.INVALID_REQUEST),
    "details that are too large": (
        {"items": done(0), "end": {"fail": {**MESSAGE, "details": "x" * 65_536}}},
        422,
        Code.REPORT_INVALID,
    ),
    "details that are too deep": (
        b'{"number":1,"end":{"fail":{"code":"E_MINE","userMessage":"No.","details":' + b"[" * 65 + b"]" * 65 + b"}}}",
        422,
        Code.REPORT_INVALID,
    ),
    "results that are too large": (
        {"items": done(0), "end": {"complete": {"results": "x" * 2000}}},
        422,
        Code.REPORT_INVALID,
    ),
    "results with a number beyond a double": (
        b'{"number":1,"end":{"complete":{"results":[1e999]}}}',
        422,
        Code.REPORT_INVALID,
    ),
    "results that are too deep": (
        b'{"number":1,"end":{"complete":{"results":' + b"[" * 65 + b"]" * 65 + b"}}}",
        422,
        Code.REPORT_INVALID,
    ),
    "a lease that is too long": ({"leaseSeconds": 3601}, 400, Code.INVALID_REQUEST),
    "no lease at all": ({"leaseSeconds": 0}, 400, Code.INVALID_REQUEST),
    "more than 1 MiB": ({"items": done(0), "userMessage": "x" * 2**20}, 413, Code.FILE_TOO_LARGE),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_report_that_cannot_be_is_refused_as_a_whole_and_leaves_its_number_free(
    make_server: MakeServer, what: str
) -> None:
    body, status, code = BROKEN[what]
    async with make_server(inline_results=1024) as server:
        attempt = await Attempt.create(server, totalCount=2)
        before = await known(attempt)
        content = body if isinstance(body, bytes) else json.dumps({"number": 1, **body}).encode()
        assert_problem(await attempt.send(content), status, code)
        assert await known(attempt) == before
        after = await attempt.report(number=1, items=done(0, 1))
        assert "repeated" not in after


@pytest.mark.parametrize("code", sorted(RESERVED_CODES))
async def test_codes_by_which_the_server_is_understood_are_refused(make_server: MakeServer, code: str) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        for answer in (
            await attempt.refused(number=1, items=[failed(0, code)]),
            await attempt.refused(number=1, end={"fail": {**MESSAGE, "code": code}}),
        ):
            assert_problem(answer, 422, Code.REPORT_INVALID)
        await attempt.report(number=1, items=[failed(0, "E_INVALID_REQUEST")])


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (json.dumps("x" * 262_144), Code.ITEM_TOO_LARGE),
        ("[" * 65 + "]" * 65, Code.ITEM_INVALID),
        ("[1e999]", Code.ITEM_INVALID),
        ('{"a": 1' + "0" * 400 + "}", Code.ITEM_INVALID),
    ],
)
async def test_a_result_that_cannot_be_kept_fails_its_item_and_no_other(
    make_server: MakeServer, result: str, code: Code
) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        body = f'{{"number":1,"items":[{{"index":0,"ok":true,"result":{result}}},{json.dumps(done(1)[0])}]}}'
        assert (await attempt.send(body.encode())).status_code == 200
        broken, well = await attempt.log()
        await attempt.report(number=2, end={"complete": {}})
        state = await attempt.state()
    assert (broken["ok"], broken["error"]["code"], well["ok"]) == (False, code, True)
    assert (state["successCount"], state["failureCount"]) == (1, 1)


async def test_items_that_are_recorded_already_change_nothing_and_are_listed(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=300)
        await attempt.report(number=1, items=done(*range(200)))
        again = await attempt.report(number=2, items=[*(failed(index) for index in range(200)), *done(200, 200)])
        assert again["repeated"] == list(range(100))
        assert [item["ok"] for item in await attempt.log()] == [True] * 201
        one = await attempt.report(number=3, items=[*done(201), failed(201)])
        assert one["repeated"] == [201]


async def test_a_report_with_content_and_without_a_number_is_told_the_number_that_it_needs(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server)
        problem = assert_problem(await attempt.refused(items=done(0)), 409, Code.REPORT_NUMBER)
    assert problem["detail"] == "The report has content, and so it needs a number: 1"


async def test_a_total_may_grow_and_never_falls_below_what_is_recorded(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server)
        await attempt.report(number=1, items=done(0, 7))
        assert (await attempt.state())["totalCount"] == 0, "it is not known yet"
        assert_problem(await attempt.refused(number=2, totalCount=7), 422, Code.REPORT_INVALID)
        await attempt.report(number=2, totalCount=8)
        await attempt.report(number=3, totalCount=20, items=done(19))
        await attempt.report(number=4, totalCount=25)
        assert (await attempt.state())["totalCount"] == 25


@pytest.mark.parametrize("less", [{"totalCount": 3}, {"legacy": {"progress": 0.9, "status": "Enriching (1/0): Dune"}}])
async def test_no_more_is_shown_as_done_than_there_is(make_server: MakeServer, less: dict[str, Any]) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=10)
        await attempt.report(number=1, processedCount=8)
        await attempt.report(number=2, **less)
        state = await attempt.state()
    assert (state["processedCount"], state["totalCount"]) == (8, 8)


async def test_progress_without_items_never_falls(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=40)
        counts = []
        ways: list[dict[str, Any]] = [
            {"processedCount": 10},
            {"processedCount": 5},
            {"fraction": 0.5},
            {"processedCount": 99},
        ]
        for number, said in enumerate(ways, 1):
            await attempt.report(number=number, currentTitle=f"Step {number}", **said)
            counts.append((await attempt.state())["processedCount"])
        assert counts == [10, 10, 20, 40]
        assert (await attempt.state())["currentTitle"] == "Step 4"
        await attempt.report(number=5, userMessage="Nearly there")
        assert (await attempt.state())["currentTitle"] == "Step 4"


async def test_a_fraction_alone_is_shown_in_per_cent(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server)
        await attempt.report(number=1, fraction=0.43)
        state = await attempt.state()
    assert (state["processedCount"], state["totalCount"]) == (43, 100)


async def test_the_status_text_of_deployed_callers_is_read(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server)
        await attempt.report(number=1, legacy={"progress": 0.1, "status": "Enriching (5/10): Dune"})
        state = await attempt.state()
        assert (state["processedCount"], state["totalCount"], state["currentTitle"]) == (5, 10, "Dune")
        await attempt.report(number=2, legacy={"progress": 0.7, "status": "Thinking"})
        state = await attempt.state()
    assert (state["processedCount"], state["userMessage"]) == (7, "Thinking")


async def test_a_worker_may_fail_its_job_with_a_code_of_its_own(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        failure = {**MESSAGE, "retryable": True, "details": {"page": 3}}
        answer = await attempt.report(number=1, items=done(0), end={"fail": failure})
        state = await attempt.state()
    assert (answer["status"], state["successCount"]) == ("failed", 1)
    assert state["error"] == {**failure, "message": "It went wrong."}


async def test_results_of_the_workers_own_stand_in_the_ending(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        await attempt.report(number=1, items=done(0), end={"complete": {"results": {"words": [1, 2.5]}}})
        state = await attempt.state()
        page = await server.ask("GET", {"jobId": attempt.job_id, "token": attempt.owner}, "/results")
    assert state["results"] == {"words": [1, 2.5]}
    assert [item["index"] for item in page.json()["data"]["items"]] == [0]


async def test_a_heartbeat_needs_no_number_and_changes_nothing(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        before = await attempt.state()
        answers = [await attempt.report() for _ in range(3)]
        longer = await attempt.report(leaseSeconds=600)
        assert await attempt.state() == before
    assert {answer["number"] for answer in answers} == {0}
    assert longer["leaseUntil"] - answers[-1]["leaseUntil"] > 500_000


@pytest.mark.parametrize("action", ["cancel", "pause"])
async def test_a_stop_is_heard_with_the_next_report_and_confirmed_by_a_release(
    make_server: MakeServer, action: str
) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=2)
        owner = {"jobId": attempt.job_id, "token": attempt.owner}
        await attempt.report(number=1, items=done(0))
        asked = (await server.ask("POST", owner, f"/{action}")).json()["data"]
        assert asked["status"] == {"cancel": "canceling", "pause": "running"}[action]
        assert (await attempt.report())["stop"] == action
        body = json.dumps({"number": 2, "items": done(1), "end": {"release": {}}}).encode()
        answers = [(await attempt.send(body)).json()["data"] for _ in range(2)]
        state = await attempt.state()
    assert {answer["status"] for answer in answers} == {{"cancel": "canceled", "pause": "paused"}[action]}
    assert (state["status"], state["processedCount"]) == (answers[0]["status"], 2), "what was recorded is kept"


async def test_a_cancel_that_comes_too_late_completes(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        await server.ask("POST", {"jobId": attempt.job_id, "token": attempt.owner}, "/cancel")
        answer = await attempt.report(number=1, items=done(0), end={"complete": {}})
    assert answer["status"] == "complete"


async def test_a_report_of_an_attempt_that_was_taken_over_is_refused_and_nothing_of_it_is_kept(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        first = await Attempt.create(server, totalCount=3)
        await first.report(number=1, items=done(0))
        await first.report(number=2, end={"release": {}})
        second = await Attempt.claim(server)
        assert (second.job_id, second.data["attempt"], second.data["recorded"]) == (first.job_id, 2, [[0, 0]])
        for refused in (
            await first.refused(number=3, items=done(1)),
            await first.refused(number=2, end={"release": {}}),
            await first.refused(),
            await first.ask("PUT", "/kept/answer", content=b"x"),
        ):
            assert_problem(refused, 409, Code.LEASE_LOST)
        assert [item["index"] for item in await second.log()] == [0]
        answer = await second.report(number=1, items=done(0, 1, 2), end={"complete": {}})
    assert (answer["status"], answer["repeated"]) == ("complete", [0])


async def test_a_worker_whose_job_is_erased_learns_that_nobody_knows_it(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=3)
        owner = {"jobId": attempt.job_id, "token": attempt.owner}
        assert (await server.ask("DELETE", owner)).status_code == 204
        for answer in (
            await attempt.refused(),
            await attempt.refused(number=1, items=done(0)),
            await attempt.refused(),
        ):
            assert_problem(answer, 401, Code.UNAUTHORIZED)


async def test_a_report_token_opens_nothing_else_and_an_owners_token_none_of_its_routes(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        worker = {"jobId": attempt.job_id, "token": attempt.token}
        owner = {"jobId": attempt.job_id, "token": attempt.owner}
        other = await Attempt.create(server, totalCount=1)
        before = await known(attempt)
        for method, below in [
            *(("GET", ""), ("GET", "/results"), ("GET", "/events"), ("DELETE", ""), ("POST", "/token")),
            *(("POST", action) for action in ("/cancel", "/pause", "/resume", "/retry")),
            ("DELETE", "/token"),
        ]:
            assert_problem(await server.ask(method, worker, below), 403, Code.FORBIDDEN)
        for method, below in [("GET", "/inputs/file"), ("GET", "/kept/a"), ("PUT", "/kept/a"), ("GET", "/log")]:
            assert_problem(await server.ask(method, owner, below), 403, Code.FORBIDDEN)
            assert_problem(await server.ask(method, {**owner, "token": "wrong"}, below), 401, Code.UNAUTHORIZED)
        report = {"number": 1, "items": done(0)}
        assert_problem(await server.ask("POST", owner, "/report", json=report), 403, Code.FORBIDDEN)
        for token in (other.token, "wrong"):
            refused = await server.http.post(f"/api/jobs/{attempt.job_id}/report", headers=bearer(token), json=report)
            assert_problem(refused, 401, Code.UNAUTHORIZED)
        derived = await server.ask("POST", owner, "/token", json={"scopes": ["report"]})
        assert_problem(derived, 403, Code.FORBIDDEN)
        assert await known(attempt) == before


async def test_a_client_that_hangs_up_in_the_middle_of_a_report_has_said_nothing(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=1)
        before = await known(attempt)
        host, port = server.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"number": 1, "items": done(0)}).encode()
        head = (
            f"POST /api/jobs/{attempt.job_id}/report HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {attempt.token}"
        )
        writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await known(attempt) == before
        await attempt.report(number=1, items=done(0))


async def test_reports_go_on_after_the_server_was_restarted_between_them(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempt = await Attempt.create(server, totalCount=4)
        await attempt.report(number=1, items=done(0, 1))
        body = json.dumps({"number": 2, "items": done(2)}).encode()
        assert (await attempt.send(body)).status_code == 200
    async with make_server() as server:
        attempt.server = server
        again = await attempt.send(body)
        assert (again.status_code, again.json()["data"]["number"]) == (200, 2)
        assert_problem(await attempt.refused(number=2, items=done(3)), 409, Code.REPORT_NUMBER)
        answer = await attempt.report(number=3, items=done(1, 3), end={"complete": {}})
        state = await attempt.state()
    assert (answer["status"], answer["repeated"]) == ("complete", [1])
    assert (state["successCount"], state["attempt"]) == (4, 1)


async def test_reports_without_a_pause_reach_a_follower_at_most_once_an_interval(make_server: MakeServer) -> None:
    async with make_server(flush_interval=5) as server:
        attempt = await Attempt.create(server, totalCount=50)
        received: list[dict[str, Any]] = []
        async with server.socket({"jobId": attempt.job_id, "token": attempt.owner}) as socket:
            received.append(json.loads(await socket.recv()))
            for index in range(50):
                await attempt.report(number=index + 1, items=done(index))
            await attempt.report(number=51, end={"complete": {}})
            received += [json.loads(text) async for text in socket]
    progress = [message for message in received if message["type"] == "job_progress"]
    assert len(progress) <= 4, "the snapshot, one an interval, and the last before the ending"
    assert received[-1]["payload"]["successCount"] == 50
