"""Below a path that a proxy cuts off."""

from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest

from shelfwire.protocol.messages import JobComplete
from shelfwire.settings import SettingsError, load
from tests.live import MakeServer, Server, bearer, next_of

PREFIX = {"X-Forwarded-Prefix": "/jobs/"}
LOCAL = ("127.0.0.1",)
LONG = b"Title\n" + b"\n".join(b"A book with number %d" % number for number in range(60))


async def submit(server: Server, headers: dict[str, str]) -> httpx2.Response:
    answer = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", LONG)}, headers=headers)
    assert answer.status_code == 202
    return answer


@pytest.mark.parametrize(
    ("options", "headers", "root"),
    [
        ({"root_path": "/jobs"}, {}, "/jobs"),
        ({"trusted_proxies": LOCAL}, PREFIX, "/jobs"),
        ({"trusted_proxies": LOCAL, "root_path": "/other"}, PREFIX, "/jobs"),
        ({"root_path": "/jobs/b%C3%BCcher"}, {}, "/jobs/b%C3%BCcher"),
        ({"trusted_proxies": LOCAL}, {"X-Forwarded-Prefix": "/b%C3%BCcher"}, "/b%C3%BCcher"),
        ({}, PREFIX, ""),
        ({"root_path": "/api/jobs"}, {}, "/api/jobs"),
        ({"trusted_proxies": LOCAL}, {"X-Forwarded-Prefix": "/%2fevil.example"}, ""),
        ({"trusted_proxies": LOCAL}, {"X-Forwarded-Prefix": "/%5Cevil.example"}, ""),
        ({"trusted_proxies": LOCAL}, {"X-Forwarded-Prefix": "/jobs/%2e%2E"}, ""),
    ],
)
async def test_addresses_are_right_behind_a_proxy_that_cuts_a_path_off(
    make_server: MakeServer, options: dict[str, Any], headers: dict[str, str], root: str
) -> None:
    public = f"https://books.example.com{root}/"
    async with make_server(inline_results=1024, **options) as server:
        answer = await submit(server, headers)
        job = answer.json()["data"]
        found = [answer.headers["location"], job["links"]["self"], job["links"]["results"], job["links"]["progress"]]
        async with server.socket(job) as socket:
            ending = await next_of(socket, "job_complete")
        # What the proxy passes on for the address that it has made public.
        path = job["links"]["self"].removeprefix(root)
        sent = {**headers, **bearer(job["token"])}
        state = (await server.http.get(path, headers=sent)).json()["data"]
        paused = await server.http.post(f"{path}/pause", headers=sent)
        retried = await server.http.post(f"{path}/retry", headers=sent)
        described = (await server.http.get("/schema/openapi.json", headers=headers)).json()["servers"]
    own = f"{public}api/jobs/{job['jobId']}"
    assert [urljoin(public, one) for one in found] == [
        own,
        own,
        f"{own}/results",
        f"{public}ws/progress?jobId={job['jobId']}",
    ]
    assert urljoin(public, state["links"]["cancel"]) == f"{own}/cancel"
    assert urljoin(public, state["resultsUrl"]) == f"{own}/results"
    assert described == [{"url": root or "/"}]
    assert (paused.status_code, retried.status_code) == (409, 409)
    assert isinstance(ending.payload, JobComplete)
    # One message for everyone begins with what holds for everyone.
    assert ending.payload.results_url == f"{options.get('root_path', '')}/api/jobs/{job['jobId']}/results"


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/a//b", "/a?b", "/../a", "/" + "x" * 300, "x"],
)
async def test_a_prefix_that_is_no_path_of_the_same_host_is_passed_over(make_server: MakeServer, prefix: str) -> None:
    async with make_server(gated=True, trusted_proxies=LOCAL) as server:
        answer = await submit(server, {"X-Forwarded-Prefix": prefix})
    assert answer.headers["location"].startswith("/api/jobs/")
    with pytest.raises(SettingsError, match=r"--root-path: .* is not a path"):
        load({"root_path": prefix}, {})


def test_a_root_path_is_taken_without_its_last_slash() -> None:
    assert [load({"root_path": path}, {}).root_path for path in ("/jobs/", "/", "")] == ["/jobs", "", ""]
