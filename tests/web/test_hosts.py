"""The names that a server answers for."""

from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shelfwire.errors import Code
from shelfwire.settings import SettingsError, load
from tests.hosts import MOUNT, in_starlette
from tests.live import MakeServer, Server, bearer
from tests.test_embedding import mounted, shelfwire

OURS = "books.example.com"
OTHERS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "evil@localhost", "x y", ""]  # noqa: S104


async def asked(server: Server, path: str, host: str, **options: Any) -> Any:
    port = server.url.rpartition(":")[2]
    return await server.http.request(
        options.pop("method", "GET"), path, headers={"Host": f"{host}:{port}", **options.pop("headers", {})}, **options
    )


@pytest.mark.parametrize("host", OTHERS)
async def test_on_loopback_a_page_of_a_rebound_name_reaches_nothing(make_server: MakeServer, host: str) -> None:
    async with make_server(gated=True, origins=("http://evil.example",)) as server:
        job = await server.submit()
        answers = [
            await asked(server, "/metrics", host),
            await asked(server, "/nowhere", host),
            await asked(server, f"/api/jobs/{job['jobId']}", host, headers=bearer(job["token"])),
            await asked(
                server, "/api/import/csv-gemini", host, method="POST", files={"file": ("a.csv", b"Title\nA\n")}
            ),
            await asked(
                server,
                "/api/import/csv-gemini",
                host,
                method="OPTIONS",
                headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
            ),
        ]
        jobs = (await server.app.service.stats()).jobs
    for answer in answers:
        assert (answer.status_code, answer.headers["x-error-code"]) == (421, Code.MISDIRECTED)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "allowed_hosts" in answer.json()["detail"]
        assert "access-control-allow-origin" not in answer.headers
    assert jobs is not None
    assert sum(jobs.values()) == 1


async def test_a_handshake_for_another_host_is_refused_alike(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        url = f"ws://evil.example/ws/progress?jobId={job['jobId']}&token={job['token']}"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, host="127.0.0.1", port=int(server.url.rpartition(":")[2]), proxy=None)
    assert refused.value.response.status_code == 421
    assert refused.value.response.headers["X-Error-Code"] == Code.MISDIRECTED


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.8.8", "[::1]", OURS])
async def test_loopback_names_and_allowed_hosts_are_answered_for(make_server: MakeServer, host: str) -> None:
    async with make_server(gated=True, allowed_hosts=(OURS,)) as server:
        assert (await asked(server, "/health/live", host)).status_code == 200
        assert (await server.http.get("/health/live", headers={"Host": host})).status_code == 200


async def test_all_hosts_are_answered_for_where_the_operator_says_so(make_server: MakeServer) -> None:
    async with make_server(gated=True, allowed_hosts=("*",)) as server:
        assert (await asked(server, "/health/live", "evil.example")).status_code == 200


async def test_beyond_loopback_only_the_allowed_hosts_are_answered_for_once_there_are_any(
    make_server: MakeServer,
) -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - the point is what is refused there
    for allowed, status in (((), 200), ((OURS,), 421)):
        async with make_server(gated=True, host=everywhere, allow_keyless=True, allowed_hosts=allowed) as server:
            server.http.base_url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}"
            assert (await asked(server, "/health/live", "evil.example")).status_code == status
            assert (await asked(server, "/health/live", OURS)).status_code == 200


async def test_mounted_the_hosts_are_the_host_applications_concern_unless_they_are_set(tmp_path: Path) -> None:
    for allowed, status in (((), 200), ((OURS,), 421)):
        async with mounted(in_starlette(shelfwire(tmp_path, allowed_hosts=allowed))) as http:
            answer = await http.get(f"{MOUNT}/health/live", headers={"Host": "evil.example"})
            assert answer.status_code == status


def test_allowed_hosts_are_names_without_ports() -> None:
    hosts = load({"allowed_hosts": "Books.Example.com. 192.0.2.7,[2001:db8::1] *"}, {}).allowed_hosts
    assert hosts == ("books.example.com", "192.0.2.7", "2001:db8::1", "*")
    for host in ("https://books.example.com", "books.example.com:443", "a/b", "*.example.com", "a@b", "-"):
        with pytest.raises(SettingsError, match=r"--allowed-hosts: .* is not a host"):
            load({"allowed_hosts": host}, {})
