import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shelfwire.errors import Code
from shelfwire.web.keys import Role, changing_keys
from tests.live import MakeServer
from tests.web.test_http import assert_problem
from tests.web.test_operator import Operated, by, operated


async def events(them: Operated, **query: Any) -> AsyncIterator[tuple[str, Any]]:
    """The events of an operator who looks at jobs: what each is called, and its data."""
    async with them.server.http.stream("GET", "/api/admin/events", params=query, headers=by(Role.READ)) as answer:
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


async def next_news(found: AsyncIterator[tuple[str, Any]]) -> Any:
    while (event := await anext(found))[0] != "jobs":
        pass
    return event[1]


async def test_an_operator_sees_each_change_of_the_jobs_that_are_looked_at_up_to_their_ends(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        job, other = await them.server.submit(), await them.server.submit()
        looking = events(them, jobs=job["jobId"])
        (first,) = (await next_news(looking))["items"]
        assert first["jobId"] == job["jobId"]
        await them.server.ask("POST", job, "/cancel")
        await them.server.ask("POST", other, "/cancel")
        seen = [first]
        while seen[-1]["status"] != "canceled":
            (changed,) = (await next_news(looking))["items"]
            seen.append(changed)
        await looking.aclose()  # type: ignore[attr-defined]
    assert {one["jobId"] for one in seen} == {job["jobId"]}
    assert [one["seq"] for one in seen] == sorted({one["seq"] for one in seen})
    assert "results" not in seen[-1]


async def test_a_job_that_is_erased_is_named_as_gone(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        looking = events(them, jobs=f"{job['jobId']},00000000-0000-4000-8000-000000000000")
        first = await next_news(looking)
        await them.server.ask("DELETE", job)
        second = await next_news(looking)
        await looking.aclose()  # type: ignore[attr-defined]
    assert first["gone"] == ["00000000-0000-4000-8000-000000000000"]
    assert second == {"items": [], "gone": [job["jobId"]]}


async def test_newer_jobs_that_match_are_counted(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        await them.server.submit()
        newest = (await them.data("GET", "/api/jobs"))["items"][0]["createdAt"]
        looking = events(them, newer=newest, q="wanted")
        assert (await next_news(looking))["newer"] == 0
        await them.server.submit(name="wanted.csv")
        await them.server.submit(name="other.csv")
        assert (await next_news(looking))["newer"] == 1
        await looking.aclose()  # type: ignore[attr-defined]


async def test_more_jobs_than_a_page_has_are_refused(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        names = ",".join(f"00000000-0000-4000-8000-{number:012}" for number in range(201))
        answer = await them.ask("GET", "/api/admin/events", params={"jobs": names})
        assert_problem(answer, 400, Code.INVALID_REQUEST)


@pytest.mark.parametrize("path", ["/api/admin/events", "/api/jobs/{job}/events"])
async def test_a_stream_ends_when_the_key_that_opened_it_is_revoked(
    make_server: MakeServer, tmp_path: Path, path: str
) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        path = path.format(job=job["jobId"])
        async with them.server.http.stream("GET", path, headers=by(Role.READ)) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            with changing_keys(tmp_path / "some-keys.toml") as keys:
                del keys[f"the-{Role.READ.slug}"]
            async with asyncio.timeout(20):
                async for _ in lines:
                    """It goes on for a second at most."""
        answer = await them.server.http.get(path, headers=by(Role.READ))
        assert_problem(answer, 401, Code.UNAUTHORIZED)
