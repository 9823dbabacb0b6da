import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from shelfwire.errors import Code
from shelfwire.jobs import operator
from shelfwire.web.keys import Key, Role, changing_keys, digest_of, new_key
from tests.live import MakeServer, Server, bearer
from tests.web.remote_work import Attempt
from tests.web.remote_work import done as done_items
from tests.web.test_http import assert_problem

READING = ["/api/jobs", "/api/admin/audit", "/api/admin/webhooks"]
KEYS = {role: new_key(role, bytes([number]) * 32) for number, role in enumerate(Role)}


def key_file(folder: Path, *roles: Role) -> Path:
    path = folder / "some-keys.toml"
    with changing_keys(path) as keys:
        for role in roles:
            keys[f"the-{role.slug}"] = Key(role=role, digest=digest_of(KEYS[role]))
    return path


def by(role: Role) -> dict[str, str]:
    return {"X-API-Key": KEYS[role]}


def announced(folder: Path) -> str:
    """The machine's own key, which lies where its owner alone can read it."""
    (path,) = folder.rglob("server.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key: str = json.loads(path.read_text())["adminKey"]
    return key


def stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("shelfwire.sqlite3*"))


class Operated:
    """A server, and its operator."""

    def __init__(self, server: Server, role: Role = Role.ADMIN) -> None:
        self.server = server
        self.headers = by(role)

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.server.http.request(method, path, headers=headers, **options)

    async def data(self, method: str, path: str, **options: Any) -> Any:
        response = await self.ask(method, path, **options)
        assert response.status_code in {200, 202}, response.text
        assert response.headers["cache-control"] == "no-store"
        return response.json()["data"]

    async def listed(self, **query: Any) -> list[str]:
        return [job["jobId"] for job in (await self.data("GET", "/api/jobs", params=query))["items"]]

    async def acts(self, **query: Any) -> list[tuple[str, str, str]]:
        page = await self.data("GET", "/api/admin/audit", params=query)
        return [(act["key"], act["action"], act["outcome"]) for act in page["items"]]


@asynccontextmanager
async def operated(make_server: MakeServer, folder: Path, **settings: Any) -> AsyncIterator[Operated]:
    keys = key_file(folder, *Role)
    async with make_server(gated=True, keys_file=keys, **settings) as server:
        server.http.headers["X-API-Key"] = KEYS[Role.WORK]
        yield Operated(server)


async def test_jobs_of_all_are_listed_page_by_page_with_their_counts(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        made = [(await them.server.submit(name=f"list {number}.csv"))["jobId"] for number in range(3)]
        first = await them.data("GET", "/api/jobs", params={"limit": 2, "counts": 1})
        second = await them.data("GET", "/api/jobs", params={"limit": 2, "cursor": first["next"]})
        oldest = await them.listed(sort="created")
    assert {job["jobId"] for job in first["items"] + second["items"]} == set(made)
    assert (len(first["items"]), second["next"]) == (2, None)
    assert sum(first["counts"].values()) == 3
    assert "counts" not in second
    assert oldest == [job["jobId"] for job in reversed(first["items"] + second["items"])]
    assert first["items"][0]["fileName"].startswith("list ")
    assert not {"results", "currentItem", "token"} & set(first["items"][0])


async def test_jobs_are_found_by_status_pipeline_tag_time_and_text(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        book = await them.server.submit(name="My Shelf.csv")
        work = await Attempt.create(them.server, tags=["user:17"], worker="gpu-1")
        await them.server.ask("DELETE", await them.server.submit())
        await them.server.ask("POST", book, "/cancel")
        (found,) = (await them.data("GET", "/api/jobs", params={"tag": "user:17"}))["items"]
        assert (found["jobId"], found["worker"], found["tags"]) == (work.job_id, "gpu-1", ["user:17"])
        assert await them.listed(pipeline="csv_import") == [book["jobId"]]
        assert await them.listed(status="running,queued", pipeline="pdf_report") == [work.job_id]
        assert set(await them.listed(status=["running", "canceling", "canceled"])) == {book["jobId"], work.job_id}
        assert await them.listed(q="shelf") == await them.listed(q=book["jobId"][:8]) == [book["jobId"]]
        assert await them.listed(since=found["createdAt"], until=found["createdAt"] + 1, q=work.job_id) == [work.job_id]
        assert await them.listed(until=1) == await them.listed(tag="user:1") == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"status": "borken"}, "status"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "WzFd"}, "cursor"),
        ({"limit": 201}, "limit"),
        ({"sort": "-updated"}, "sort"),
        ({"counts": "yes"}, "counts"),
        ({"since": -1}, "since"),
        ({"until": "today"}, "until"),
        ({"q": "x" * 201}, "q "),
        ({"tag": "x" * 201}, "tag"),
    ],
)
async def test_a_list_that_is_not_asked_for_as_it_can_be_is_refused(
    make_server: MakeServer, tmp_path: Path, query: dict[str, Any], named: str
) -> None:
    async with operated(make_server, tmp_path) as them:
        response = await them.ask("GET", "/api/jobs", params=query)
    assert assert_problem(response, 400, Code.INVALID_REQUEST)["detail"].startswith(named)


@pytest.mark.parametrize("path", READING)
async def test_what_operators_read_asks_for_their_role(make_server: MakeServer, tmp_path: Path, path: str) -> None:
    async with make_server(keys_file=key_file(tmp_path, *Role)) as server:
        for role, status in ((Role.CREATE, 403), (Role.WORK, 403), (Role.READ, 200), (Role.ADMIN, 200)):
            assert (await server.http.get(path, headers=by(role))).status_code == status
        missing = await server.http.get(path)
        wrong = await server.http.get(path, headers={"X-API-Key": "sw_admin_wrong"})
        body = {"action": "cancel", "filter": {}}
        lesser = await server.http.post("/api/admin/bulk", json=body, headers=by(Role.READ))
    for response in (missing, wrong):
        assert_problem(response, 401, Code.UNAUTHORIZED)
        assert response.headers["www-authenticate"] == 'ApiKey header="X-API-Key"'
    assert assert_problem(lesser, 403, Code.FORBIDDEN)["details"] == {"role": "admin"}


@pytest.mark.parametrize("path", READING)
async def test_without_a_key_for_operators_nothing_of_theirs_is_there_for_callers_from_elsewhere(
    make_server: MakeServer, tmp_path: Path, path: str
) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    async with make_server(keys_file=key_file(tmp_path, Role.WORK), trusted_proxies=()) as server:
        elsewhere = [
            await server.http.get(path, headers=forwarded),
            await server.http.get(path, headers={**forwarded, **by(Role.WORK)}),
        ]
        here = await server.http.get(path)
    for response in elsewhere:
        assert_problem(response, 404, Code.NOT_FOUND)
    assert_problem(here, 401, Code.UNAUTHORIZED)


async def test_the_machine_has_a_key_of_its_own_for_whoever_may_read_the_data_folder(
    make_server: MakeServer, tmp_path: Path
) -> None:
    keys = []
    for _ in range(2):
        async with make_server() as server:
            keys.append(announced(tmp_path))
            own = {"X-API-Key": keys[-1]}
            assert (await server.http.get("/api/jobs", headers=own)).status_code == 200
            assert (await server.http.get("/api/jobs", headers={"X-API-Key": keys[0]})).status_code in {200, 401}
            for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host"):
                response = await server.http.get("/api/jobs", headers={**own, header: "127.0.0.1"})
                assert_problem(response, 404, Code.NOT_FOUND)
            if len(keys) == 2:
                assert_problem(
                    await server.http.get("/api/jobs", headers={"X-API-Key": keys[0]}), 401, Code.UNAUTHORIZED
                )
    assert keys[0] != keys[1]


async def test_an_operator_sees_and_steers_any_job(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        path = f"/api/jobs/{job['jobId']}"
        assert (await them.data("GET", path))["status"] in {"queued", "running"}
        assert (await them.data("GET", f"{path}?after=1&wait=0.01"))["jobId"] == job["jobId"]
        assert (await them.data("GET", f"{path.upper().replace('/API/JOBS', '/api/jobs')}/results"))["items"] == []
        assert (await them.ask("GET", f"{path}/inputs/file")).content == b"Title\nEmma\n"
        assert (await them.data("POST", f"{path}/pause"))["status"] in {"running", "paused"}
        token = (await them.data("POST", f"{path}/token"))["token"]
        assert (await them.server.state({**job, "token": token}))["jobId"] == job["jobId"]
        assert (await them.server.state(job))["jobId"] == job["jobId"], "the owner's token is as good as before"
        await them.data("POST", f"{path}/cancel")
        ended = await them.server.ended(job)
        assert ended["status"] == "canceled"
        events = await them.ask("GET", f"{path}/events")
        assert "E_JOB_CANCELED" in events.text
        unchanged = await them.ask("GET", path, headers={"If-None-Match": f'"{ended["seq"]}"'})
        assert (unchanged.status_code, unchanged.headers["cache-control"]) == (304, "no-store")
        again = await them.data("POST", f"{path}/retry")
        assert again["retryOf"] == job["jobId"]
        assert_problem(await them.ask("POST", f"{path}/resume"), 409, Code.JOB_STATE)
        assert (await them.ask("DELETE", path)).status_code == 204
        for method, below in (
            ("GET", ""),
            ("GET", "/results"),
            ("POST", "/cancel"),
            ("DELETE", ""),
            ("GET", "/events"),
        ):
            assert_problem(await them.ask(method, path + below), 404, Code.NOT_FOUND)
        acts = await them.acts(jobId=job["jobId"])
    assert acts == [
        ("the-admin", "delete", "ok"),
        ("the-admin", "resume", "E_JOB_STATE"),
        ("the-admin", "retry", "ok"),
        ("the-admin", "events", "ok"),
        ("the-admin", "cancel", "ok"),
        ("the-admin", "token", "ok"),
        ("the-admin", "pause", "ok"),
        ("the-admin", "input", "ok"),
        ("the-admin", "results", "ok"),
    ]


async def test_reading_is_noted_once_an_hour(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        for _ in range(3):
            await them.data("GET", f"/api/jobs/{job['jobId']}/results")
        assert await them.acts(key="the-admin") == [("the-admin", "results", "ok")]
        assert await them.acts(since=2**50) == await them.acts(key="nobody") == []


async def test_a_key_that_only_reads_changes_no_job_and_reads_no_input(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        reader = Operated(them.server, Role.READ)
        path = f"/api/jobs/{job['jobId']}"
        assert (await reader.data("GET", path))["jobId"] == job["jobId"]
        assert (await reader.data("GET", f"{path}/results"))["items"] == []
        for method, below in (
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("DELETE", ""),
            ("POST", "/token"),
            ("GET", "/inputs/file"),
        ):
            assert_problem(await reader.ask(method, path + below), 403, Code.FORBIDDEN)


async def test_keys_and_tokens_are_not_taken_for_each_other(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        path, http = f"/api/jobs/{job['jobId']}", them.server.http
        admin, token = KEYS[Role.ADMIN], job["token"]
        assert_problem(await http.get(path, headers=bearer(admin)), 401, Code.UNAUTHORIZED)
        assert_problem(await http.get(f"{path}/events?token={admin}"), 401, Code.UNAUTHORIZED)
        assert_problem(await http.get(path, headers={"X-API-Key": token}), 401, Code.UNAUTHORIZED)
        assert_problem(await http.get(path, headers={"X-API-Key": KEYS[Role.WORK]}), 401, Code.UNAUTHORIZED)
        for listing in READING:
            assert_problem(await http.get(listing, headers={"X-API-Key": token}), 401, Code.UNAUTHORIZED)
            assert_problem(await http.get(listing, headers={**bearer(token), "X-API-Key": ""}), 401, Code.UNAUTHORIZED)
        wrong = {**bearer("wrong"), "X-API-Key": admin}
        assert_problem(await http.get(path, headers=wrong), 401, Code.UNAUTHORIZED)
        for method, below in (("GET", "/log"), ("POST", "/report"), ("GET", "/kept/a"), ("PUT", "/kept/a")):
            assert_problem(await them.ask(method, path + below), 401, Code.UNAUTHORIZED)
        assert_problem(await them.ask("DELETE", f"{path}/token"), 403, Code.FORBIDDEN)


async def test_refused_calls_are_noted_but_not_without_end_and_no_key_is_logged_or_stored(
    make_server: MakeServer, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with operated(make_server, tmp_path) as them:
            for _ in range(12):
                await them.server.http.get("/api/jobs", headers={"X-API-Key": "sw_admin_stolen"})
            await them.server.http.get("/api/jobs", headers=by(Role.CREATE))
            acts = await them.acts()
            await them.data("POST", "/api/admin/bulk", json={"action": "cancel", "filter": {}})
    assert acts == [("(unknown)", "list", "E_UNAUTHORIZED")] * 10
    secrets = ["stolen", *KEYS.values()]
    left = stored(tmp_path)
    assert not [secret for secret in secrets if secret in repr(logs) or secret.encode() in left]


async def test_many_jobs_are_counted_first_and_then_canceled(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        jobs = [await them.server.submit() for _ in range(3)]
        request = {"action": "pause", "filter": {"pipeline": "csv_import", "status": ["queued", "running"]}}
        counted = await them.data("POST", "/api/admin/bulk", json=request)
        assert counted["matches"] == 3
        assert set(counted) == {"matches", "asOf"}
        assert {(await them.server.state(job))["status"] for job in jobs} <= {"queued", "running"}
        done = await them.data(
            "POST", "/api/admin/bulk", json={**request, "asOf": counted["asOf"], "expect": counted["matches"]}
        )
        assert (done["matches"], done["done"], done["failed"], done["left"]) == (3, 3, [], 0)
        acts = await them.acts()
        assert acts == [("the-admin", "bulk:pause", "ok"), *[("the-admin", "pause", "ok")] * 3]


async def test_what_was_made_after_the_count_is_left_alone_and_what_changed_since_is_refused(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        first, second = [await them.server.submit() for _ in range(2)]
        request: dict[str, Any] = {"action": "delete", "filter": {"pipeline": "csv_import"}}
        counted = await them.data("POST", "/api/admin/bulk", json=request)
        await them.server.ask("DELETE", first)
        request |= {"asOf": counted["asOf"], "expect": 2}
        refused = await them.ask("POST", "/api/admin/bulk", json=request)
        assert assert_problem(refused, 409, Code.MATCHES_CHANGED)["details"] == {"matches": 1}
        assert (await them.server.state(second))["jobId"] == second["jobId"]
        done = await them.data("POST", "/api/admin/bulk", json={**request, "expect": 1})
        assert (done["done"], done["left"]) == (1, 0)
        assert await them.listed() == []


async def test_many_jobs_are_done_call_by_call_and_each_is_retried_once(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "MAX_BULK", 2)
    monkeypatch.setattr(operator, "AT_ONCE", 1)
    async with operated(make_server, tmp_path) as them:
        work = [await Attempt.create(them.server, totalCount=1) for _ in range(5)]
        for attempt in work:
            error = {"code": "E_PAGE_BLANK", "userMessage": "Blank."}
            await attempt.report(number=1, end={"fail": error})
        request: dict[str, Any] = {"action": "retry", "filter": {"status": ["failed"], "q": "E_PAGE_BLANK"}}
        counted = await them.data("POST", "/api/admin/bulk", json=request)
        request |= {"asOf": counted["asOf"], "expect": counted["matches"]}
        calls: list[tuple[int, int, int]] = []
        while request["expect"]:
            answer = await them.data("POST", "/api/admin/bulk", json=request)
            if not calls:  # its answer was lost
                answer = await them.data("POST", "/api/admin/bulk", json=request)
            calls.append((answer["matches"], answer["done"], answer["left"]))
            request |= {"expect": answer["left"], "cursor": answer.get("next")}
        assert calls == [(5, 2, 3), (3, 2, 1), (1, 1, 0)]
        made = await them.listed(status="queued")
        assert len(made) == 5


async def test_two_operators_at_once_and_one_who_asks_again_retry_each_job_once(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        work = [await Attempt.create(them.server, totalCount=1) for _ in range(3)]
        for attempt in work:
            await attempt.report(number=1, end={"fail": {"code": "E_PAGE_BLANK", "userMessage": "Blank."}})
        request: dict[str, Any] = {"action": "retry", "filter": {"status": ["failed"]}}

        async def retry_all() -> int:
            counted = await them.data("POST", "/api/admin/bulk", json=request)
            asked = {**request, "asOf": counted["asOf"], "expect": counted["matches"]}
            done: int = (await them.data("POST", "/api/admin/bulk", json=asked))["done"]
            return done

        assert list(await asyncio.gather(retry_all(), retry_all())) == [3, 3]
        again = await Attempt.claim(them.server)
        await again.report(number=1, end={"fail": {"code": "E_PAGE_BLANK", "userMessage": "Blank."}})
        assert await retry_all() == 4
        assert len(await them.listed()) == 7, "three, their retries, and that of the retry that failed"


async def test_the_jobs_that_refuse_are_named(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        work = await Attempt.create(them.server, totalCount=1)
        await work.report(number=1, items=done_items(0), end={"complete": {}})
        request: dict[str, Any] = {"action": "retry", "filter": {}}
        counted = await them.data("POST", "/api/admin/bulk", json=request)
        done = await them.data("POST", "/api/admin/bulk", json={**request, "asOf": counted["asOf"], "expect": 1})
        assert (done["done"], done["failed"]) == (0, [{"jobId": work.job_id, "code": "E_JOB_STATE"}])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"action": "explode"}, "explode"),
        ({"filter": None}, "filter"),
        ({"filter": {"stauts": ["failed"]}}, "stauts"),
        ({"filter": {"status": ["borken"]}}, "borken"),
        ({"filter": {"q": ""}}, "q is empty"),
        ({"filter": {"q": " "}}, "q is empty"),
        ({"filter": {"q": "\0"}}, "filter.q"),
        ({"filter": {"pipeline": ""}}, "pipeline is empty"),
        ({"filter": {"tag": " "}}, "tag is empty"),
        ({"expect": 1}, "asOf"),
        ({"asOf": -1}, "asOf"),
        ({"cursor": "!", "asOf": 1, "expect": 0}, "cursor"),
        ({"everything": True}, "everything"),
    ],
)
async def test_an_action_on_many_jobs_that_is_not_clear_is_refused(
    make_server: MakeServer, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        response = await them.ask("POST", "/api/admin/bulk", json={"action": "delete", "filter": {}, **change})
        assert (await them.server.state(job))["jobId"] == job["jobId"]
    assert named in assert_problem(response, 400, Code.INVALID_REQUEST)["detail"]


async def test_an_action_that_suits_none_of_the_jobs_matches_none(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        await them.server.submit()
        request = {"action": "resume", "filter": {"status": ["queued", "running"]}}
        counted = await them.data("POST", "/api/admin/bulk", json=request)
        done = await them.data("POST", "/api/admin/bulk", json={**request, "asOf": counted["asOf"], "expect": 0})
    assert (counted["matches"], done["done"], done["left"]) == (0, 0, 0)


async def test_the_application_around_it_finds_jobs_by_their_tags(make_server: MakeServer) -> None:
    async with make_server() as server:
        attempts = [await Attempt.create(server, tags=["user:17"]) for _ in range(3)]
        await Attempt.create(server)
        first = await server.app.service.jobs(tag="user:17", limit=2)
        second = await server.app.service.jobs(tag="user:17", after=first.next)
    found = {state.id for page in (first, second) for state in page.states}
    assert found == {attempt.job_id for attempt in attempts}
