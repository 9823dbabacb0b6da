"""Who opens the operator's page: with a key, or on the server's own machine with a code."""

from pathlib import Path
from typing import Any

import pytest

from shelfwire.errors import Code
from shelfwire.protocol.tokens import digest
from shelfwire.testing import FakeClock
from shelfwire.web.key_codes import CODE_SECONDS, KEY_SECONDS, MAX_CODES, KeyCodes
from shelfwire.web.keys import Role, changing_keys
from tests.live import MakeServer, bearer, until
from tests.web.test_http import assert_problem
from tests.web.test_operator import Operated, by, key_file, operated

PROXIED = {"X-Forwarded-For": "203.0.113.7"}


@pytest.mark.parametrize("role", [Role.READ, Role.ADMIN])
async def test_the_holder_of_a_key_learns_its_name_and_role(
    make_server: MakeServer, tmp_path: Path, role: Role
) -> None:
    async with operated(make_server, tmp_path) as them:
        found = await them.data("GET", "/api/admin/session", headers=by(role))
    assert found == {"name": f"the-{role.slug}", "role": role}


async def code_of(them: Operated, role: Role = Role.READ) -> str:
    made: str = (await them.data("POST", "/api/admin/session", headers=by(role)))["code"]
    return made


async def used(them: Operated, code: str, **headers: str) -> Any:
    return await them.server.http.post("/api/admin/session/key", json={"code": code}, headers=headers)


async def test_a_code_becomes_a_key_with_the_name_and_role_of_the_one_it_was_made_with_once(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        them.server.http.headers.clear()
        code = await code_of(them)
        answer = await used(them, code)
        assert answer.headers["cache-control"] == "no-store"
        made = answer.json()["data"]
        mine = {"X-API-Key": made["apiKey"]}
        found = await them.data("GET", "/api/admin/session", headers=mine)
        assert found == {"name": made["name"], "role": made["role"]} == {"name": "the-admin_read", "role": "admin:read"}
        assert (await them.server.http.get("/api/jobs", headers=mine)).status_code == 200
        refused = await them.server.http.post("/api/admin/bulk", json={"action": "cancel", "filter": {}}, headers=mine)
        assert_problem(refused, 403, Code.FORBIDDEN)
        assert_problem(await used(them, code), 401, Code.UNAUTHORIZED)
        assert_problem(await used(them, "never"), 401, Code.UNAUTHORIZED)


async def test_a_code_and_its_key_are_for_the_servers_own_machine_alone(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        them.server.http.headers.clear()
        asked = await them.server.http.post("/api/admin/session", headers={**by(Role.ADMIN), **PROXIED})
        assert_problem(asked, 403, Code.FORBIDDEN)
        code = await code_of(them)
        assert_problem(await used(them, code, **PROXIED), 403, Code.FORBIDDEN)
        assert_problem(await used(them, code, Origin="https://evil.example"), 403, Code.FORBIDDEN)
        key = (await used(them, code)).json()["data"]["apiKey"]
        elsewhere = await them.server.http.get("/api/jobs", headers={"X-API-Key": key, **PROXIED})
        assert_problem(elsewhere, 401, Code.UNAUTHORIZED)


async def test_a_key_of_the_page_ends_with_the_one_that_it_stands_for(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        them.server.http.headers.clear()
        key = (await used(them, await code_of(them))).json()["data"]["apiKey"]
        with changing_keys(tmp_path / "some-keys.toml") as keys:
            del keys["the-admin_read"]
        access = them.server.app._context.access
        access._file._checked_at = float("-inf")
        assert_problem(await them.server.http.get("/api/jobs", headers={"X-API-Key": key}), 401, Code.UNAUTHORIZED)


async def test_without_any_key_nobody_from_elsewhere_learns_of_codes(make_server: MakeServer) -> None:
    async with make_server() as server:
        answer = await server.http.post("/api/admin/session/key", json={"code": "x"}, headers=PROXIED)
        assert_problem(answer, 404, Code.NOT_FOUND)


def test_codes_and_keys_end_in_time_and_are_bounded() -> None:
    clock, numbers = FakeClock(), iter(range(10**6))
    codes = KeyCodes(clock, lambda size: next(numbers).to_bytes(size))
    late = codes.issue(b"whose")
    assert late.expires_at == clock.now() + CODE_SECONDS * 1000
    clock.advance(CODE_SECONDS + 1)
    assert codes.redeem(late.secret) is None
    first, *_ = [codes.issue(b"whose") for _ in range(MAX_CODES + 1)]
    assert codes.redeem(first.secret) is None
    key = codes.redeem(codes.issue(b"whose").secret)
    assert key is not None
    assert codes.stands_for(digest(key.secret)) == b"whose"
    clock.advance(KEY_SECONDS + 1)
    assert codes.stands_for(digest(key.secret)) is None


async def test_an_operator_sees_the_tokens_inputs_and_followers_of_a_job_and_no_value(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit(b"Title\nEmma\n")
        body = {"scopes": ["watch"], "expiresIn": 60}
        token = (await them.server.ask("POST", job, "/token", json=body)).json()["data"]
        async with them.server.socket(job):
            await until(lambda: sum(them.server.app.service.followers_of(job["jobId"]).values()) == 1)
            answer = await them.ask("GET", f"/api/admin/jobs/{job['jobId']}", headers=by(Role.READ))
        gone = await them.ask("GET", "/api/admin/jobs/00000000-0000-4000-8000-000000000000")
    found = answer.json()["data"]
    assert [one["scopes"] for one in found["tokens"]] == [["control", "results", "watch"], ["watch"]]
    assert found["tokens"][1]["expiresAt"] == token["expiresAt"]
    assert [one["size"] for one in found["inputs"]] == [11]
    assert sum(found["followers"].values()) == 1
    assert job["token"] not in answer.text
    assert token["token"] not in answer.text
    assert_problem(gone, 404, Code.NOT_FOUND)


async def test_details_of_a_job_are_for_operators_alone(make_server: MakeServer, tmp_path: Path) -> None:
    async with make_server(keys_file=key_file(tmp_path, *Role)) as server:
        job = (await server.http.post("/api/jobs", json={"pipeline": "x"}, headers=by(Role.WORK))).json()["data"]
        path = f"/api/admin/jobs/{job['jobId']}"
        assert_problem(await server.http.get(path, headers=bearer(job["token"])), 401, Code.UNAUTHORIZED)
        assert_problem(await server.http.get(path, headers=by(Role.WORK)), 403, Code.FORBIDDEN)
